"""The recipes by data set, and the function behind `vcebench train`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

import torch

from vcebench.data.registry import UnknownNameError
from vcebench.training.card import write_model_card
from vcebench.training.latent_part import LatentPart, train_latent
from vcebench.training.parts import Part, Recipe, train_part

RECIPES: dict[str, str] = {
    "digits": "vcebench.training.digits:recipe",
    "synthfaces": "vcebench.training.synthfaces:recipe",
    "synthroads": "vcebench.training.synthroads:recipe",
}
"""Data set → "module:function" that returns its `Recipe`."""


def recipe_of(dataset: str) -> Recipe:
    """The recipe of an embedded data set; raises `UnknownNameError` with the nearest names."""
    if dataset not in RECIPES:
        raise UnknownNameError("data set with a recipe", dataset, RECIPES)
    module, _, symbol = RECIPES[dataset].partition(":")
    build = cast(Callable[[], Recipe], getattr(import_module(module), symbol))
    return build()


def train(
    dataset: str,
    parts: Sequence[str] | None = None,
    output: Path | None = None,
    threads: int | None = None,
    restart: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Train an embedded data set's networks, one part after the other.

    Interrupted at any moment (Ctrl-C, a killed machine), the same call goes on where the last
    checkpoint was and reaches the same weights.

    Args:
        dataset: name of the data set.
        parts: names of the parts to train; all by default.
        output: folder of the network files, the model card and the training state
            (default: checkpoints/DATASET in the current folder).
        threads: CPU threads; torch's own choice by default.
        restart: forget checkpoints and finished networks of these parts.
        progress: report on stderr.

    Returns:
        Paths of the network files, then of the model card.

    Raises:
        ValueError: unknown data set or part, or a checkpoint made with other settings.
    """
    recipe = recipe_of(dataset)
    known: dict[str, Part | LatentPart] = {part.name: part for part in recipe.parts}
    if recipe.latent is not None:
        known[recipe.latent.name] = recipe.latent
    for name in parts or ():
        if name not in known:
            raise UnknownNameError(f"part of {dataset}", name, known)
    folder = output or Path("checkpoints") / dataset
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        paths = [
            _train(dataset, known[name], folder, restart, progress) for name in (parts or known)
        ]
    finally:
        torch.set_num_threads(before)
    return [*paths, write_card(recipe, folder)]


def _train(
    dataset: str, part: Part | LatentPart, folder: Path, restart: bool, progress: bool
) -> Path:
    if isinstance(part, LatentPart):
        return train_latent(dataset, part, folder, restart=restart, progress=progress)
    return train_part(dataset, part, folder, restart=restart, progress=progress)


def write_card(recipe: Recipe, folder: Path) -> Path:
    """Write the model card of the networks in a folder, with the bounds of their recipe."""
    floors = {part.name: part.floors for part in recipe.parts}
    ceilings = {part.name: part.ceilings for part in recipe.parts}
    latent = {} if recipe.latent is None else recipe.latent.floors
    return write_model_card(recipe.dataset, recipe.text, folder, floors, ceilings, latent)
