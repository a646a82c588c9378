"""The model card of a data set's networks, written from what the network files say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vcebench.models.shipped import load_network
from vcebench.weights.shipped import sha256

SAMPLES, ASCENTS = "prior.png", "robust.png"
NO_FLOORS: Mapping[str, Mapping[str, float]] = {}


def write_model_card(
    dataset: str, text: str, folder: Path, floors: Mapping[str, Mapping[str, float]] = NO_FLOORS
) -> Path:
    """Write FOLDER/MODEL_CARD.md about every network file in the folder.

    `floors` are the figures a network has to reach, by stem of its file and name of the figure.

    Pictures FOLDER/prior.png and FOLDER/robust.png, drawn by `vcebench show NAME --prior` and
    `--robust`, are shown if they are there.
    """
    sections = [f"# Networks of `{dataset}`", text.strip()]
    if (folder / SAMPLES).exists():
        sections.append(
            "Samples of the prior: inputs, noised to τ, and denoised from there without guidance "
            f"(`vcebench show {dataset} --prior`).\n\n![samples of the prior]({SAMPLES})"
        )
    if (folder / ASCENTS).exists():
        sections.append(
            "What classifiers take for the other class: inputs, moved ten radii up the probability "
            "of the other class, of the robust, of the explained, and of the plain classifier "
            f"(`vcebench show {dataset} --robust`).\n\n![ascents]({ASCENTS})"
        )
    sections += [
        _section(path, floors.get(path.stem, {})) for path in sorted(folder.glob("*.safetensors"))
    ]
    path = folder / "MODEL_CARD.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def _section(path: Path, floors: Mapping[str, float]) -> str:
    network, card = load_network(path)
    parameters = sum(p.numel() for p in network.parameters())
    recipe = card.get("recipe", {})
    rows = [
        ("made by", f"`{card['command']}`"),
        ("architecture", f"{recipe.get('architecture')}, {_pairs(recipe.get('config', {}))}"),
        ("parameters", f"{parameters:,}; {path.stat().st_size / 1e6:.2f} MB on disk (float16)"),
        ("measured after the float16 round trip", _pairs(card.get("measured", {}))),
        *_against(floors, card.get("measured", {})),
        (
            "training",
            f"{card['steps']:,} steps, seed {card['seed']}, {card['train_seconds'] / 60:.1f} "
            f"minutes on {card['threads']} thread(s) of {card['machine']}, torch {card['torch']}",
        ),
        ("SHA-256", f"`{sha256(path)}`"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## `{path.name}`: {card['title']}\n\n{card['summary']}\n\n| | |\n|---|---|\n{table}"


def _against(floors: Mapping[str, float], measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A line that says of every floor whether it is reached; none without floors."""
    verdicts = [
        f"{name.replace('_', ' ')} at least {_number(floor)}: "
        + ("reached" if measured.get(name, float("-inf")) >= floor else "**not reached**")
        for name, floor in floors.items()
    ]
    return [("floor", ", ".join(verdicts))] if verdicts else []


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {_number(v)}" for k, v in values.items()) or "-"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
