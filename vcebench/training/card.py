"""The model card of a data set's networks, written from what the network files say themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vcebench.models.shipped import load_network
from vcebench.weights.shipped import sha256

SAMPLES, ASCENTS, DRAWINGS = "prior.png", "robust.png", "latent.png"
Bounds = Mapping[str, Mapping[str, float]]
"""Stem of a network file → name of a figure → its bound."""
NO_BOUNDS: Bounds = {}
NO_FLOORS: Mapping[str, float] = {}
LATENT = "latent/card.json"


def write_model_card(
    dataset: str,
    text: str,
    folder: Path,
    floors: Bounds = NO_BOUNDS,
    ceilings: Bounds = NO_BOUNDS,
    latent_floors: Mapping[str, float] = NO_FLOORS,
) -> Path:
    """Write FOLDER/MODEL_CARD.md about every network file in the folder.

    A network has to reach its `floors`, and may not go beyond its `ceilings`; the latent diffusion
    model in FOLDER/latent, if there is one, has `latent_floors`.

    Pictures FOLDER/prior.png, FOLDER/robust.png and FOLDER/latent.png, drawn by `vcebench show NAME
    --prior`, `--robust` and `--prompt WORDS`, are shown if they are there.
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
    if (folder / DRAWINGS).exists():
        sections.append(
            "What the latent diffusion model draws of a prompt, from pure noise (`vcebench show "
            f"{dataset} --prompt WORDS`).\n\n![drawings of a prompt]({DRAWINGS})"
        )
    sections += [
        _section(path, floors.get(path.stem, {}), ceilings.get(path.stem, {}))
        for path in sorted(folder.glob("*.safetensors"))
    ]
    if (folder / LATENT).exists():
        sections.append(_latent_section(folder / LATENT, latent_floors))
    path = folder / "MODEL_CARD.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def _section(path: Path, floors: Mapping[str, float], ceilings: Mapping[str, float]) -> str:
    network, card = load_network(path)
    parameters = sum(p.numel() for p in network.parameters())
    recipe = card.get("recipe", {})
    rows = [
        ("made by", f"`{card['command']}`"),
        ("architecture", f"{recipe.get('architecture')}, {_pairs(recipe.get('config', {}))}"),
        ("parameters", f"{parameters:,}; {path.stat().st_size / 1e6:.2f} MB on disk (float16)"),
        ("measured after the float16 round trip", _pairs(card.get("measured", {}))),
        *_against(floors, ceilings, card.get("measured", {})),
        (
            "training",
            f"{card['steps']:,} steps{_begun(card)}, seed {card['seed']}, "
            f"{card['train_seconds'] / 60:.1f} minutes on {_place(card)}, torch {card['torch']}",
        ),
        ("SHA-256", f"`{sha256(path)}`"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## `{path.name}`: {card['title']}\n\n{card['summary']}\n\n| | |\n|---|---|\n{table}"


def _latent_section(path: Path, floors: Mapping[str, float]) -> str:
    """What the card of a latent diffusion model says, stage by stage."""
    card = json.loads(path.read_text(encoding="utf-8"))
    folder = path.parent
    files = sorted(folder.rglob("*.safetensors"))
    size = sum(file.stat().st_size for file in files) / 1e6
    measured = card.get("measured", {})
    rows = [
        ("made by", f"`{card['command']}`"),
        ("on disk", f"{size:.2f} MB in {len(files)} files (float16), a folder of diffusers"),
        ("measured after the float16 round trip", _pairs(measured)),
        *_against(floors, {}, measured),
    ]
    for stage, name in (("vae", "autoencoder"), ("unet", "U-Net and what reads its conditions")):
        recipe, seconds = card[stage]["recipe"], card[stage]["train_seconds"]
        settings = recipe["settings"]
        said = (
            f"{settings['steps']:,} steps of {recipe['batch']}, seed {settings['seed']}, "
            f"{seconds / 60:.1f} minutes on {_place(card)}, torch {card['torch']}"
        )
        rows.append((f"training, {name}", said))
    rows += [(file.relative_to(folder).as_posix(), f"`{sha256(file)}`") for file in files]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## `latent/`: {card['title']}\n\n{card['summary']}\n\n| | |\n|---|---|\n{table}"


def _against(
    floors: Mapping[str, float], ceilings: Mapping[str, float], measured: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """A line that says of every bound whether it is kept; none without bounds."""
    missing = float("nan")
    verdicts = [
        (f"{name} at least {_number(floor)}", measured.get(name, missing) >= floor)
        for name, floor in floors.items()
    ] + [
        (f"{name} at most {_number(ceiling)}", measured.get(name, missing) <= ceiling)
        for name, ceiling in ceilings.items()
    ]
    said = [
        f"{wanted.replace('_', ' ')}: {'reached' if kept else '**not reached**'}"
        for wanted, kept in verdicts
    ]
    return [("floor", ", ".join(said))] if said else []


def _place(card: Mapping[str, Any]) -> str:
    """Where a network was trained; threads are named where they did the work."""
    threads = card["threads"]
    return (
        f"one {card['machine']}" if threads is None else f"{threads} thread(s) of {card['machine']}"
    )


def _begun(card: Mapping[str, Any]) -> str:
    return f" from the weights of `{card['begun_from']}`" if "begun_from" in card else ""


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {_number(v)}" for k, v in values.items()) or "-"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
