"""Losses and measurements shared by the recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.methods.core.schedule import Schedule
from vcebench.training import augment
from vcebench.training.augment import to_network

Augment = Callable[[Tensor, torch.Generator], Tensor]


class PerceptualTrainer(nn.Module):
    """Training-only heads on perceptual features: logits, and the clean image.

    The logits make the features care for what a class depends on, the reconstruction keeps the
    rest of the picture in them; the perceptual loss needs both.
    """

    def __init__(self, network: nn.Module, outputs: int) -> None:
        super().__init__()
        self.network = network
        channels = int(network.channels)  # type: ignore[arg-type]
        self.head = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(4),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
        )
        self.logits = nn.Linear(2 * channels, outputs)
        self.picture = nn.Sequential(nn.Conv2d(channels, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, outputs) and reconstruction (B, 3, H, W)."""
        features = self.network(x)
        return self.logits(self.head(features).mean(dim=(2, 3))), self.picture(features)


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


def softened(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shifted, blurred and noised images: a classifier trained on them has smooth gradients."""
    x = augment.shift(x, 2, generator)
    return augment.noise(augment.blur(x, 1.0, generator), 0.4, generator)


def outputs(network: nn.Module, images: Tensor, batch: int = 250) -> Tensor:
    """What a network says of uint8 images (N, 3, H, W), with shape (N, outputs)."""
    starts = range(0, len(images), batch)
    return torch.cat([network(to_network(images[i : i + batch])) for i in starts])


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, batch: int = 500) -> float:
    """Share of uint8 images (N, 3, H, W) whose largest logit is the label's."""
    right = outputs(network, images, batch).argmax(dim=1) == labels
    return int(right.sum()) / len(images)


def probabilities(network: nn.Module, images: Tensor) -> Tensor:
    """Sigmoid of the logits of uint8 images, with shape (N, outputs)."""
    return outputs(network, images).sigmoid()


def logit_figures(
    network: nn.Module,
    images: Tensor,
    attributes: Tensor,
    names: Sequence[str],
    split: str = "test",
) -> dict[str, Any]:
    """Accuracy for each of several independent logits, and their mean."""
    right = ((probabilities(network, images) > 0.5) == attributes.bool()).float().mean(dim=0)
    by_name = {f"{name} accuracy": float(a) for name, a in zip(names, right, strict=True)}
    return {f"{split}_mean_accuracy": float(right.mean()), "worst": float(right.min()), **by_name}


def prior_figures(
    network: nn.Module, schedule: Schedule, images: Tensor, tau: int = 60, batch: int = 250
) -> dict[str, float]:
    """How well a prior predicts the noise, and the clean image, where editing happens.

    Args:
        network: (z, t) → noise and variance.
        schedule: respaced schedule of the editing chain.
        images: held-out uint8 images with shape (N, 3, H, W).
        tau: editing uses respaced indices 0 … tau-1.

    Returns:
        `noise_mse`, mean over five indices, and `x0_l1` at index tau-1, on [0, 1].
    """
    generator = torch.Generator().manual_seed(0)
    x = to_network(images)
    noise = torch.randn(x.shape, generator=generator)
    errors: list[float] = []
    distance = 0.0
    for i in (0, tau // 4, tau // 2, 3 * tau // 4, tau - 1):
        z = schedule.q_sample(x, i, noise)
        t = torch.full((len(x),), int(schedule.timestep_map[i]))
        starts = range(0, len(x), batch)
        found = torch.cat([network(z[k : k + batch], t[k : k + batch]) for k in starts])
        predicted = found[:, : x.shape[1]]
        errors.append(float((predicted - noise).square().mean()))
        x0 = (z - schedule.sigma_bar(i) * predicted) / schedule.sqrt_alpha_bar(i)
        distance = float(F.l1_loss(x0.clamp(-1, 1), x)) / 2
    return {"noise_mse": sum(errors) / len(errors), "x0_l1": distance}
