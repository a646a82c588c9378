"""The loss that trains a semantic autoencoder, and what the trained one is measured by.

A picture is made again from its map and the means of its own regions; no discriminator takes part,
so that fine texture is averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.models.painter import SemanticAutoencoder
from vcebench.training import augment
from vcebench.training.autoencoder import agreements, alike, chunks, picture_distance
from vcebench.training.half import half
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part

Pictures = Callable[[str], tuple[Tensor, Tensor]]
"""Opens pictures of a split, uint8 (N, 3, H, W), and their maps, uint8 (N, H, W)."""


def segments_loss(pictures: Pictures, perceptual: Path, batch: int, bf16: bool = True) -> Loss:
    """Distance of pictures and what is made again of their maps and codes.

    Args:
        perceptual: file of the network whose features are compared.
        batch: pictures a step.
        bf16: run the networks under bfloat16 autocast.
    """
    images, maps = pictures("train")
    distance = picture_distance(perceptual)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        assert isinstance(network, SemanticAutoencoder)
        x, chosen = augment.draw(images, batch, generator)
        where = maps[chosen]
        with half(bf16):
            codes = network.encode(x, where)
            made = network.decode(where, codes)
            return distance(x, made, alike(x))

    return loss


@torch.no_grad()
def segments_figures(
    network: nn.Module,
    images: Tensor,
    maps: Tensor,
    dataset: str,
    tasks: Sequence[str],
    swapped: str,
) -> dict[str, Any]:
    """How pictures are made again, whether classifiers see a difference, and where codes reach.

    Args:
        images, maps: held-out uint8 pictures and their maps.
        tasks: whose classifiers are asked.
        swapped: region whose codes are exchanged.

    Returns:
        `pixel_l1` on [0, 1]; for every task the share of pictures that are predicted as they are
        when made again; and the share of a change inside a region whose code is exchanged with
        that of another picture, the mean over pictures that have the region.
    """
    assert isinstance(network, SemanticAutoencoder)
    x = augment.to_network(images)
    codes = torch.cat(
        [network.encode(a, b) for a, b in zip(chunks(x, 128), chunks(maps, 128), strict=True)]
    )
    made = _decoded(network, maps, codes)
    figures = {"pixel_l1": float(F.l1_loss(made, x)) / 2} | agreements(x, made, dataset, tasks)
    number = network.regions.index(swapped)
    inside = maps == number
    there = inside.flatten(1).any(dim=1)
    other = codes[there].clone()
    other[:, number] = other[:, number].roll(1, dims=0)
    change = (_decoded(network, maps[there], other) - made[there]).abs().sum(dim=1)
    share = (change * inside[there]).sum(dim=(1, 2)) / change.sum(dim=(1, 2)).clamp_min(1e-12)
    return figures | {f"{swapped} inside": float(share.mean())}


def _decoded(network: SemanticAutoencoder, maps: Tensor, codes: Tensor) -> Tensor:
    parts = zip(chunks(maps, 128), chunks(codes, 128), strict=True)
    return torch.cat([network.decode(where, z) for where, z in parts])


def segments_part(
    dataset: str,
    regions: tuple[str, ...],
    settings: LoopSettings,
    batch: int,
    perceptual: Path,
    pictures: Pictures,
    tasks: Sequence[str],
    swapped: str,
) -> Part:
    """The semantic autoencoder of a rendered set; see `segments_loss` and `segments_figures`."""
    return Part(
        name="segments",
        title=f"semantic autoencoder, {dataset}",
        summary=(
            "A picture from the renderer's map of its regions and one code for each region, "
            "whose look methods change while the layout stays."
        ),
        architecture="semantic-autoencoder",
        config={"regions": regions},
        settings=settings,
        loss=lambda: segments_loss(pictures, perceptual, batch),
        measure=lambda network: segments_figures(
            network, *pictures("test"), dataset, tasks, swapped
        ),
        floors={f"{task} agreement": 0.95 for task in tasks} | {f"{swapped} inside": 0.9},
    )
