"""What the recipes share, those of rendered sets most: pictures in memory, and losses of a role.

A source opens the pictures of a split: images uint8 (N, 3, H, W) and what they show, attributes
float32 (N, A) unless said otherwise. It is called only when there is something to train.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.methods.core.schedule import linear_schedule
from vcebench.training import augment
from vcebench.training.diffusion import DiffusionLoss
from vcebench.training.half import half
from vcebench.training.loop import Loss
from vcebench.training.supervised import Augment, distorted, prior_figures, probabilities

Source = Callable[[], tuple[Tensor, Tensor]]
Opened = Callable[[], Loss]

STEPS, RESPACING = 500, 200
"""T and N of the priors."""


def as_drawn(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures as they are."""
    return x


def prior_loss(source: Source, batch: int, change: Augment = as_drawn) -> Opened:
    """Diffusion on the pictures, four fifths of it on the timesteps that editing uses."""

    def open_data() -> Loss:
        images, _ = source()
        diffusion = DiffusionLoss(STEPS, focus=160, share=0.8, bf16=True)

        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            x, _ = augment.draw(images, batch, generator)
            return diffusion(network, change(x, generator), generator)

        return loss

    return open_data


def prior_measure(source: Source, count: int) -> Callable[[nn.Module], dict[str, Any]]:
    """Figures of a prior on the first `count` pictures."""

    def measure(network: nn.Module) -> dict[str, Any]:
        schedule = linear_schedule(STEPS, RESPACING)
        return dict(prior_figures(network, schedule, source()[0][:count]))

    return measure


def logit_loss(
    source: Source,
    change: Augment,
    bf16: bool = False,
    smoothing: float = 0.0,
    attack: float = 0.0,
) -> Opened:
    """Cross-entropy of independent logits on pictures that `change` has distorted.

    smoothing: targets are this much nearer to one half than 0 and 1.
    attack: largest length of a step up the loss that each picture makes before it is learnt from;
        see `hardened`.
    """

    def open_data() -> Loss:
        images, attributes = source()

        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            x, chosen = augment.draw(images, 32, generator)
            x = change(x, generator)
            wanted = attributes[chosen] * (1 - smoothing) + 0.5 * smoothing
            with half(bf16):
                if attack:
                    x = hardened(network, x, wanted, attack, generator)
                logits = network(x)
            return F.binary_cross_entropy_with_logits(logits.float(), wanted)

        return loss

    return open_data


def hardened(
    network: nn.Module, x: Tensor, wanted: Tensor, longest: float, generator: torch.Generator
) -> Tensor:
    """Pictures moved against the network: one gradient step of random length, in the L2 norm.

    A network that learns from them has a gradient that shows the things it looks at, where others
    show a pattern.

    References:
        Explaining and Harnessing Adversarial Examples (Goodfellow et al., 2015), in the L2 norm;
        Robustness May Be at Odds with Accuracy (Tsipras et al., 2019), Section 3, on gradients.
    """
    start = x.detach().requires_grad_()
    loss = F.binary_cross_entropy_with_logits(network(start).float(), wanted, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, start)
    norms = torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    length = torch.rand(len(x), 1, 1, 1, generator=generator) * longest
    moved: Tensor = x + length * gradient / norms
    return moved.detach()


def split_accuracies(
    labelled: Callable[[str], tuple[Tensor, Tensor]],
) -> Callable[[nn.Module], dict[str, Any]]:
    """Accuracy of a network with one logit, on `test` and on `val`.

    labelled: split → pictures and labels 0 or 1, float32 (N, 1).
    """

    def measure(network: nn.Module) -> dict[str, Any]:
        figures = {}
        for split in ("test", "val"):
            images, label = labelled(split)
            right = (probabilities(network, images) > 0.5) == label.bool()
            figures[f"{split}_accuracy"] = float(right.float().mean())
        return figures

    return measure


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures moved by up to two pixels, and nothing else."""
    return augment.shift(x, 2, generator)


def shaken(x: Tensor, generator: torch.Generator) -> Tensor:
    """Slightly shifted and noised pictures, for oracles, which nobody differentiates."""
    return augment.noise(augment.shift(x, 2, generator), 0.1, generator)


def perceptual_loss(source: Source, bf16: bool = False) -> Opened:
    """Attributes and the clean picture from noised ones; takes a `PerceptualTrainer`."""
    return _two_headed_loss(source, lambda x, g: (augment.noise(x, 0.3, g), x), bf16)


def representation_loss(source: Source, bf16: bool = False) -> Opened:
    """Attributes and the amount of distortion; takes a `DistortionHead`."""
    return _two_headed_loss(source, distorted, bf16)


def _two_headed_loss(
    source: Source,
    change: Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]],
    bf16: bool,
) -> Opened:
    """Cross-entropy of the first head, squared error of the second.

    change: pictures → what the network sees, and what its second head shall find.
    """

    def open_data() -> Loss:
        images, attributes = source()

        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            x, chosen = augment.draw(images, 32, generator)
            seen, wanted = change(x, generator)
            with half(bf16):
                logits, found = network(seen)
            wrong = F.binary_cross_entropy_with_logits(logits.float(), attributes[chosen])
            return wrong + 5 * F.mse_loss(found.float(), wanted)

        return loss

    return open_data
