"""The loss that trains an autoencoder, and what the trained one is measured by.

References: Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., NeurIPS
2018), Equation 2 and Appendix C.1 for the estimate from a batch; its use for counterfactuals with
only the last term annealed: the program released with Beyond Trivial Counterfactual Explanations
with Diverse Valuable Explanations (Rodríguez et al., ICCV 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.data.registry import dataset_entry
from vcebench.methods.dive import fisher
from vcebench.models.autoencoder import ResidualAutoencoder
from vcebench.models.classifier import TargetClassifier
from vcebench.models.loading import load_bundle
from vcebench.models.shipped import load_network
from vcebench.models.small import PerceptualFeatures
from vcebench.training import augment
from vcebench.training.half import half
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part

BETA, CYCLES = 1e-3, 2
"""Weight of the divergences, and how often that of the last one grows from zero."""
SCALE, PIXELS = 32.0, 0.5
"""Factor on all distances of pictures, and that on pixels among them."""

Batch = Callable[[torch.Generator], tuple[Tensor, Tensor]]
"""Draws images in [-1, 1], float32 (B, 3, H, W), and weights of their pixels, (B, 1, H, W)."""


class Annealed(nn.Module):
    """Training-only: an autoencoder and how often it was trained, which a checkpoint keeps.

    Args:
        network: the autoencoder.
        steps: all that it will be trained.
    """

    passes: Tensor

    def __init__(self, network: nn.Module, steps: int) -> None:
        super().__init__()
        self.network = network
        self.period = max(1, steps // CYCLES)
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def share(self) -> float:
        """Weight of the annealed term, from one call to the next: up to 1 at half a period."""
        done = int(self.passes) % self.period / self.period
        self.passes += 1
        return min(1.0, 2 * done)


def divergences(z: Tensor, mean: Tensor, log_variance: Tensor, count: int) -> tuple[Tensor, ...]:
    """Mutual information, total correlation and dimension-wise KL of codes, in nats, each scalar.

    Densities of all images' codes are estimated from the batch by stratified sampling.

    Args:
        z: one sample for each image, (B, c), drawn from N(mean, exp(log_variance)).
        count: images there are to draw batches from.
    """
    own = _log_normal(z, mean, log_variance).sum(dim=1)
    between = _log_normal(z[:, None], mean[None], log_variance[None])  # (B, B, c)
    weights = stratified(len(z), count, z.device)
    joint = torch.logsumexp(weights + between.sum(dim=2), dim=1)
    product = torch.logsumexp(weights[..., None] + between, dim=1).sum(dim=1)
    prior = _log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(dim=1)
    return (own - joint).mean(), (joint - product).mean(), (product - prior).mean()


def stratified(batch: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """Logarithms of the weights (B, B) of the j-th code's density at the i-th sample.

    A sample's own code stands for itself among `count` images, one other for those not drawn, and
    every further one for an equal share of the drawn.
    """
    others = batch - 1
    if others == 0:
        return torch.zeros(1, 1, device=device)
    weights = torch.full((batch, batch), 1 / others)
    index = torch.arange(batch)
    weights[index, index] = 1 / count
    weights[index, (index + 1) % batch] = max(count - others, 1) / (count * others)
    return weights.log().to(device)


def _log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    squared = (z - mean).square() * torch.exp(-log_variance)
    return -0.5 * (math.log(2 * math.pi) + log_variance + squared)


def picture_distance(perceptual: Path) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Mean ℓ1 between pictures of perceptual features at both their resolutions, and of pixels.

    Each picture's pixels are weighted, and features as the pixels that they cover.

    Args:
        perceptual: file of the network of features.
    """
    features, _ = load_network(perceptual)
    assert isinstance(features, PerceptualFeatures)
    features.to(memory_format=torch.channels_last)

    def distance(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
        features.to(x.device)
        full, full_y = features.layers[:4](x), features.layers[:4](y)
        low, low_y = features.layers[4:](full), features.layers[4:](full_y)
        parts = _weighted(full_y, full, weights) + _weighted(low_y, low, weights)
        return SCALE * (parts + PIXELS * _weighted(y, x, weights))

    return distance


def _weighted(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    apart = (x.float() - y.float()).abs()
    height, width = apart.shape[-2:]
    return (apart * F.adaptive_avg_pool2d(weights, (height, width))).mean()


def alike(x: Tensor) -> Tensor:
    """Weights of one for every pixel of pictures (B, 3, H, W), with shape (B, 1, H, W)."""
    return torch.ones_like(x[:, :1])


def balanced(maps: Tensor, regions: int) -> Tensor:
    """Weights that give every region of a picture as much as half of an even share.

    The other half goes to all pixels alike: a mouth is one pixel of a hundred, and what a face is
    asked about most.

    Args:
        maps: numbers of the regions, integer with shape (B, H, W).
        regions: how many numbers there are.

    Returns:
        float32 with shape (B, 1, H, W), whose mean over each picture is 1.
    """
    areas = F.one_hot(maps.long(), regions).flatten(1, 2).sum(dim=1)  # (B, regions)
    there = (areas > 0).sum(dim=1, keepdim=True)
    size = maps[0].numel()
    share = size / (there * areas.clamp_min(1))
    even = share.gather(1, maps.flatten(1).long()).view(maps.shape)
    return ((1 + even) / 2).unsqueeze(1)


def autoencoder_loss(
    batch: Batch, perceptual: Path, count: int, bf16: bool = True
) -> Callable[[nn.Module, torch.Generator], Tensor]:
    """Distance of a picture and its reconstruction, and divergences of the code.

    Takes an `Annealed`.

    Args:
        batch: draws the images.
        perceptual: file of the network whose features are compared.
        count: images that `batch` draws from.
        bf16: run the networks under bfloat16 autocast.
    """
    distance = picture_distance(perceptual)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        assert isinstance(network, Annealed)
        autoencoder = network.network
        assert isinstance(autoencoder, ResidualAutoencoder)
        x, weights = batch(generator)
        with half(bf16):
            mean, log_variance = autoencoder.encode(x)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        z = mean + torch.exp(0.5 * log_variance) * noise
        with half(bf16):
            wrong = distance(x, autoencoder.decode(z), weights)
        information, correlation, divergence = divergences(z, mean, log_variance, count)
        return wrong + BETA * (information + correlation + network.share() * divergence)

    return loss


def autoencoder_figures(
    network: nn.Module, images: Tensor, dataset: str, tasks: Sequence[str]
) -> dict[str, Any]:
    """Distance of pictures and their reconstructions, and whether classifiers see a difference.

    Args:
        images: held-out uint8 pictures, with shape (N, 3, H, W).
        tasks: whose classifiers are asked.

    Returns:
        `pixel_l1` on [0, 1], and for every task the share of pictures that are predicted as their
        reconstructions are.
    """
    x = augment.to_network(images)
    with torch.no_grad():
        made = torch.cat([network(part) for part in chunks(x, 128)])
        return {"pixel_l1": float(F.l1_loss(made, x)) / 2} | agreements(x, made, dataset, tasks)


@torch.no_grad()
def agreements(x: Tensor, made: Tensor, dataset: str, tasks: Sequence[str]) -> dict[str, Any]:
    """For every task the share of pictures that are predicted as what was made of them is."""
    figures = {}
    for task in tasks:
        classifier = explained(dataset, task)
        same = classifier.predict(x) == classifier.predict(made)
        figures[f"{task} agreement"] = float(same.float().mean())
    return figures


def explained(dataset: str, task: str) -> TargetClassifier:
    """The classifier of a task, and nothing else."""
    classifier = load_bundle(dataset, task, needs=frozenset(), metrics=False).classifier
    assert classifier is not None
    return classifier


def chunks(x: Tensor, size: int) -> list[Tensor]:
    """Rows of a tensor, `size` at once."""
    return [x[start : start + size] for start in range(0, len(x), size)]


def keep_fisher(network: nn.Module, images: Tensor, dataset: str) -> None:
    """Put the Fisher matrix of every task's classifier into an autoencoder, in place.

    Each is shifted and scaled to [0, 1]: what methods take from it is how codes go together.

    Args:
        images: uint8 pictures, with shape (N, 3, H, W).
    """
    assert isinstance(network, ResidualAutoencoder)
    x = augment.to_network(images)
    with torch.no_grad():
        mean = torch.cat([network.encode(part)[0] for part in chunks(x, 128)])
    for row, name in zip(network.fisher, network.questions, strict=True):
        task = dataset_entry(dataset).task(name)
        classifier = explained(dataset, name)
        target = torch.tensor(task.classes[1])

        def lead(x: Tensor, ask: Any = classifier.margin, target: Tensor = target) -> Tensor:
            out: Tensor = ask(x, target.expand(len(x)))
            return out

        parts = [fisher(network.decode, lead, part) for part in chunks(mean, 64)]
        found = torch.stack(parts).sum(dim=0)
        found = found - found.min()
        row.copy_(found / found.max())


def autoencoder_part(
    dataset: str,
    config: dict[str, Any],
    settings: LoopSettings,
    loss: Callable[[], Loss],
    pictures: Callable[[str], Tensor],
    tasks: Sequence[str],
) -> Part:
    """The autoencoder of an embedded data set.

    Args:
        config: of the network, but for the questions, which are the tasks of the set.
        loss: opens the data, see `autoencoder_loss`.
        pictures: opens those of `train` or `test`, uint8 (N, 3, H, W).
        tasks: those whose classifiers have to see no difference.
    """
    questions = tuple(task.name for task in dataset_entry(dataset).tasks)
    return Part(
        name="autoencoder",
        title=f"TC-VAE, {dataset}",
        summary=(
            "Variational autoencoder whose code methods move: a picture from a vector. It also "
            "keeps how strongly every task's classifier depends on each pair of its codes, over "
            "1,000 pictures of `train`."
        ),
        architecture="residual-autoencoder",
        config=config | {"questions": questions},
        settings=settings,
        loss=loss,
        measure=lambda network: autoencoder_figures(network, pictures("test"), dataset, tasks),
        wrap=lambda network: Annealed(network, settings.steps),
        finish=lambda network: keep_fisher(network, pictures("train")[:1000], dataset),
        ceilings={"pixel_l1": 0.03},
        floors={f"{task} agreement": 0.95 for task in tasks},
    )
