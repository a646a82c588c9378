"""What the recipe of `synthfaces` trains with: images in memory, losses, and figures."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.data.synthfaces import SynthFaces
from vcebench.data.synthfaces.scm import NAMES
from vcebench.training import augment
from vcebench.training.augment import to_network

CHUNK = 500
DRAWS = 4
"""Pictures of each person that the identity embedder trains on."""


@cache
def faces(split: str, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 3, 64, 64) and attributes with the patch, float32 (N, 17), of a split.

    Rendered once a process: at 12 kB a face, 20,000 of them take 245 MB.
    """
    data = SynthFaces(split=split)
    total = len(data) if count is None else count
    images, attributes = [], []
    for start in range(0, total, CHUNK):
        indices = range(start, min(start + CHUNK, total))
        images.append(data.batch(indices)[0])
        attributes.append(data.factors(indices).attributes[:, : len(NAMES)])
    return (
        torch.from_numpy(np.concatenate(images)),
        torch.from_numpy(np.concatenate(attributes)).float(),
    )


@cache
def people(split: str, count: int) -> Tensor:
    """`DRAWS` pictures of each of `count` people, uint8 with shape (count, DRAWS, 3, 64, 64)."""
    data = SynthFaces(split=split)
    pictures = []
    for start in range(0, count, CHUNK // DRAWS):
        numbers = np.arange(start, min(start + CHUNK // DRAWS, count))
        images, _ = data.identity_batch(
            np.repeat(numbers, DRAWS), list(range(DRAWS)) * len(numbers)
        )
        pictures.append(images.reshape(len(numbers), DRAWS, *images.shape[1:]))
    return torch.from_numpy(np.concatenate(pictures))


def softened(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shifted, blurred and noised images: a classifier trained on them has smooth gradients."""
    x = augment.shift(x, 2, generator)
    return augment.noise(augment.blur(x, 1.0, generator), 0.4, generator)


class DistortionHead(nn.Module):
    """Training-only head: attributes, and how strongly the image was blurred and noised.

    It keeps the sharpness and texture of an image in features that attributes alone would drop.
    """

    def __init__(self, network: nn.Module, width: int) -> None:
        super().__init__()
        self.network = network
        self.distortion = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Attribute logits (B, A) and distortion (B, 2)."""
        features = self.network.features(x)  # type: ignore[operator]
        return self.network.head(features), self.distortion(features)  # type: ignore[operator]


def distorted(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images blurred and noised, and by how much, with shape (B, 2), both in [0, 1].

    Half of the images are left as they are in each respect.
    """
    amount = torch.rand(len(x), 2, generator=generator)
    amount = amount * (torch.rand(len(x), 2, generator=generator) < 0.5)
    soft = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    blend = amount[:, 0, None, None, None]
    noise = torch.randn(x.shape, generator=generator) * 0.3 * amount[:, 1, None, None, None]
    return (1 - blend) * x + blend * soft + noise, amount


def verification_loss(embeddings: Tensor, people_in_batch: int) -> Tensor:
    """Pushes cosines of a person's two pictures above 0.5, and those of two people below it.

    Args:
        embeddings: with shape (2 · people_in_batch, D); row p and row p + people_in_batch belong
            to one person.
    """
    unit = F.normalize(embeddings)
    cosines = unit @ unit.T
    person = torch.arange(people_in_batch).repeat(2)
    same = person[:, None] == person[None, :]
    off_diagonal = ~torch.eye(len(unit), dtype=torch.bool)
    positive, negative = cosines[same & off_diagonal], cosines[~same]
    # A margin of 0.1 on both sides; hard pairs weigh most.
    low, high = 20 * (0.6 - positive), 20 * (negative - 0.4)
    hard = torch.logsumexp(high.view(len(unit), -1), dim=1).relu().mean() / 10
    return F.softplus(low).mean() + F.softplus(high).mean() * 4 + hard


def probabilities(network: nn.Module, images: Tensor, batch: int = 250) -> Tensor:
    """Sigmoid of the logits of uint8 images, with shape (N, outputs)."""
    starts = range(0, len(images), batch)
    return torch.cat([network(to_network(images[i : i + batch])).sigmoid() for i in starts])


def attribute_figures(network: nn.Module, split: str = "test") -> dict[str, Any]:
    """Accuracy for each attribute of a network that decides all of them, and their mean."""
    images, attributes = faces(split)
    right = ((probabilities(network, images) > 0.5) == attributes.bool()).float().mean(dim=0)
    by_name = {f"{name} accuracy": float(a) for name, a in zip(NAMES, right, strict=True)}
    return {f"{split}_mean_accuracy": float(right.mean()), "worst": float(right.min()), **by_name}


def verification_figures(
    network: nn.Module, split: str = "test", count: int = 1000
) -> dict[str, Any]:
    """Share of pairs told apart by cosine > 0.5; as many different as equal people."""
    pictures = people(split, count)
    first, second = (
        torch.cat([F.normalize(network(to_network(p))) for p in pictures[:, draw].split(250)])
        for draw in (0, 1)
    )
    same = (first * second).sum(dim=1) > 0.5
    other = (first * second.roll(1, dims=0)).sum(dim=1) > 0.5
    accuracy = (float(same.float().mean()) + float((~other).float().mean())) / 2
    return {
        "verification_accuracy": accuracy,
        "same_above_half": float(same.float().mean()),
        "others_below_half": float((~other).float().mean()),
    }
