"""How good a latent diffusion model is: what its autoencoder keeps, and whether it does as told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.data.registry import dataset_entry
from vcebench.folders.images import dequantise, quantise
from vcebench.methods.core.prior import ConditionalPrior
from vcebench.models.latent_draw import redrawn
from vcebench.models.latent_files import load_latent
from vcebench.settings.prompts import prompts_of
from vcebench.training.augment import to_network
from vcebench.training.autoencoder import chunks, explained
from vcebench.training.latent import CELL

CHAIN, HALF, SCALE = 20, 9, 4.0
"""Steps of the chain that pictures are drawn again on, the index they are noised to, and CFG."""
BATCH = 64


def latent_figures(
    folder: Path, images: Tensor, dataset: str, tasks: Sequence[str], drawn: Tensor
) -> dict[str, Any]:
    """Figures of a stored model on held-out pictures.

    Args:
        folder: of the model, as it ships.
        images: uint8 with shape (N, 3, H, W).
        dataset: whose classifiers judge.
        tasks: those that decide.
        drawn: pictures that are drawn again, alike: they show what the tasks ask about, since
            another thing than the source is not turned into the target.

    Returns:
        `psnr` of the reconstructions in dB (mean over pictures, of uint8 values); `pixel_l1`, mean
        |difference| on [0, 1]; `colour_l1`, the same of means over cells of 8 pixels; `TASK
        agreement`, share of reconstructions that the classifier decides as their originals; `TASK
        obedience`, share of drawings that are seen as the class they were asked for, over both
        classes.
    """
    model = load_latent(folder)
    entry = dataset_entry(dataset)
    x, asked = to_network(images), to_network(drawn)
    made: list[Tensor] = []
    with torch.no_grad():
        space = model.prior(_conditions(model, entry.task(tasks[0]))).space
        for part in chunks(x, BATCH):
            made.append(dequantise(quantise(space.decode(space.encode(part)).clamp(-1, 1))))
    figures = reconstruction_figures(x, torch.cat(made))
    for name in tasks:
        judge = explained(dataset, name)
        same = torch.cat(
            [
                judge.predict(a) == judge.predict(b)
                for a, b in zip(chunks(x, BATCH), made, strict=True)
            ]
        )
        figures[f"{name} agreement"] = float(same.float().mean())
        prior = model.prior(_conditions(model, entry.task(name))).strided(CHAIN, 1)
        figures[f"{name} obedience"] = obedience(prior, asked, judge, entry.task(name).classes)
    return figures


def reconstruction_figures(x: Tensor, made: Tensor) -> dict[str, float]:
    """`psnr`, `pixel_l1` and `colour_l1` of pictures in [-1, 1] and what became of them."""
    wrong = (made - x) / 2
    error = wrong.square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
    return {
        "psnr": float((-10 * error.log() / math.log(10)).mean()),
        "pixel_l1": float(wrong.abs().mean()),
        "colour_l1": float(F.avg_pool2d(wrong, CELL).abs().mean()),
    }


def obedience(prior: ConditionalPrior, x: Tensor, judge: Any, classes: Sequence[int]) -> float:
    """Share of pictures, drawn again as either class, that a classifier takes for that class."""
    right: list[Tensor] = []
    for target, source in (tuple(classes), tuple(reversed(classes))):
        for number, part in enumerate(chunks(x, BATCH)):
            made = redrawn(prior, part, target, source, HALF, SCALE, seed=number)
            right.append(judge.predict(dequantise(quantise(made))) == target)
    return float(torch.cat(right).float().mean())


def _conditions(model: Any, task: Any) -> Any:
    if model.words is None:
        return model.told_classes(task.classes)
    words: Mapping[int, str] = prompts_of(task)
    return model.told_words(words)
