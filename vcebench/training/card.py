"""The model card of a data set's networks, written from what the network files say themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vcebench.models.shipped import load_network, sha256

SAMPLES = "prior.png"


def write_model_card(dataset: str, text: str, folder: Path) -> Path:
    """Write FOLDER/MODEL_CARD.md about every network file in the folder.

    A picture FOLDER/prior.png, drawn by `vcebench show NAME --prior`, is shown if it is there.
    """
    sections = [f"# Networks of `{dataset}`", text.strip()]
    if (folder / SAMPLES).exists():
        sections.append(
            "Samples of the prior: inputs, noised to τ, and denoised from there without guidance "
            f"(`vcebench show {dataset} --prior`).\n\n![samples of the prior]({SAMPLES})"
        )
    sections += [_section(path) for path in sorted(folder.glob("*.safetensors"))]
    path = folder / "MODEL_CARD.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def _section(path: Path) -> str:
    network, card = load_network(path)
    parameters = sum(p.numel() for p in network.parameters())
    recipe = card.get("recipe", {})
    rows = [
        ("made by", f"`{card['command']}`"),
        ("architecture", f"{recipe.get('architecture')}, {_pairs(recipe.get('config', {}))}"),
        ("parameters", f"{parameters:,}; {path.stat().st_size / 1e6:.2f} MB on disk (float16)"),
        ("measured after the float16 round trip", _pairs(card.get("measured", {}))),
        (
            "training",
            f"{card['steps']:,} steps, seed {card['seed']}, {card['train_seconds'] / 60:.1f} "
            f"minutes on {card['threads']} thread(s) of {card['machine']}, torch {card['torch']}",
        ),
        ("SHA-256", f"`{sha256(path)}`"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## `{path.name}`: {card['title']}\n\n{card['summary']}\n\n| | |\n|---|---|\n{table}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {_number(v)}" for k, v in values.items()) or "-"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
