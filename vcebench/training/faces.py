"""What the recipe of `synthfaces` trains with: images in memory, losses, and figures."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.data.synthfaces.scm import NAMES
from vcebench.training.supervised import logit_figures, outputs

CHUNK = 500


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
def face_maps(split: str, count: int) -> tuple[Tensor, Tensor]:
    """The first images of a split and their maps, uint8 (count, 64, 64)."""
    data = SynthFaces(split=split)
    return faces(split, count)[0], torch.from_numpy(data.segments(range(count)))


@cache
def portraits(split: str, count: int) -> tuple[Tensor, Tensor]:
    """One picture of each of `count` people, uint8 (count, 3, 64, 64), and their identity.

    Identity factors are float32 in [-1, 1] with shape (count, 40).
    """
    images, _ = faces(split, count)
    identity = SynthFaces(split=split).factors(range(count)).identity
    return images, torch.from_numpy(identity).float() * 2 - 1


def people(split: str, numbers: range, draws: int) -> Tensor:
    """`draws` pictures of each of these people, uint8 (people, draws, 3, 64, 64)."""
    data = SynthFaces(split=split)
    pictures = []
    for start in range(0, len(numbers), CHUNK // draws):
        chunk = np.array(numbers[start : start + CHUNK // draws])
        images, _ = data.identity_batch(np.repeat(chunk, draws), list(range(draws)) * len(chunk))
        pictures.append(images.reshape(len(chunk), draws, *images.shape[1:]))
    return torch.from_numpy(np.concatenate(pictures))


@torch.no_grad()
def embed(network: nn.Module, pictures: Tensor) -> Tensor:
    """Embeddings of uint8 pictures (P, D, 3, 64, 64), with shape (P, D, E)."""
    return outputs(network, pictures.flatten(0, 1)).view(*pictures.shape[:2], -1)


def discriminant(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Linear discriminant analysis: makes people differ, and one person's pictures agree.

    Directions are whitened by the scatter within people and weighted by how much of their
    variance lies between people, √(λ/(1+λ)) (Fisher, 1936; Prince & Elder, 2007).

    Args:
        embeddings: of several pictures of many people, with shape (P, D, E).

    Returns:
        Matrix (E, E) and mean (E,): an embedding e becomes (e - mean) @ matrix.
    """
    means = embeddings.mean(dim=1)
    residual = (embeddings - means[:, None]).flatten(0, 1)
    count, draws, size = embeddings.shape
    within = residual.T @ residual / (count * (draws - 1)) + 1e-3 * torch.eye(size)
    root = torch.linalg.cholesky(within)
    half = torch.linalg.solve(root, torch.cov(means.T))
    values, vectors = torch.linalg.eigh(torch.linalg.solve(root, half.T))
    values = values.clamp(min=0)
    matrix = torch.linalg.solve(root.T, vectors) * (values / (1 + values)).sqrt()
    return matrix, means.mean(dim=0)


@torch.no_grad()
def fold_discriminant(network: nn.Module, pictures: Tensor) -> None:
    """Put the discriminant of these people into the network's last layer.

    Args:
        network: embedder whose last layer is the linear `head`.
        pictures: uint8 with shape (P, D, 3, 64, 64), of people it was not trained on.
    """
    head = network.head
    assert isinstance(head, nn.Linear)
    matrix, mean = discriminant(embed(network, pictures))
    head.bias.copy_((head.bias - mean) @ matrix)
    head.weight.copy_(matrix.T @ head.weight)


def attribute_figures(network: nn.Module, split: str = "test") -> dict[str, Any]:
    """Accuracy for each attribute of a network that decides all of them, and their mean."""
    return logit_figures(network, *faces(split), NAMES, split)


def verification_figures(
    network: nn.Module, split: str = "test", count: int = 1000
) -> dict[str, Any]:
    """Share of pairs told apart by cosine > 0.5; as many different as equal people."""
    first, second = F.normalize(embed(network, people(split, range(count), 2)), dim=-1).unbind(1)
    same = (first * second).sum(dim=1) > 0.5
    other = (first * second.roll(1, dims=0)).sum(dim=1) > 0.5
    return {
        "verification_accuracy": float((same.float().mean() + (~other).float().mean()) / 2),
        "same_above_half": float(same.float().mean()),
        "others_below_half": float((~other).float().mean()),
    }
