"""Adversarially trained classifiers: the attack that they learn from, and their part of a recipe.

Radii ε are lengths in the L2 norm over all channels of a picture on [0, 1]. A network that is right
in a ball about every picture has a gradient that draws the things it looks at; the ball has to stay
below half the distance of the true counterfactual, or no network could be right on both pictures.

References:
    Towards Deep Learning Models Resistant to Adversarial Attacks (Madry et al., 2018), Equation 2.1
    and Section 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.training import augment
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part
from vcebench.training.robustness import Question, robust_figures
from vcebench.training.supervised import Augment

STEPS, STRETCH = 3, 0.7
"""Steps of the attack learnt from, and the length of each in radii."""

Losses = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K) and labels → cross-entropies (B, Q), one for each question the network answers."""


def class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Of one class among K; labels int64 (B,). Returns (B, 1)."""
    return F.cross_entropy(logits, labels, reduction="none")[:, None]


def logit_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Of K independent logits; labels 0 or 1, float32 (B, K). Returns (B, K)."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


class Besieged(nn.Module):
    """Training-only: a network and how often it was attacked, which a checkpoint keeps.

    Args:
        network: the network to harden.
        epsilon: radius of the ball.
        ramp: attacks over which the radius grows to it, from nothing.
    """

    attacks: Tensor

    def __init__(self, network: nn.Module, epsilon: float, ramp: int) -> None:
        super().__init__()
        self.network = network
        self.epsilon = epsilon
        self.ramp = ramp
        self.register_buffer("attacks", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """The network's logits."""
        out: Tensor = self.network(x)
        return out

    def radius(self) -> float:
        """Radius of the next attack, counted from one to the next."""
        self.attacks += 1
        return self.epsilon * min(1.0, int(self.attacks) / max(1, self.ramp))


def robust_loss(
    source: Callable[[], tuple[Tensor, Tensor]],
    losses: Losses,
    change: Augment,
    batch: int,
) -> Callable[[], Loss]:
    """Cross-entropy on attacked pictures alone; takes a `Besieged`.

    A network of several logits is attacked through one of them a picture, chosen at random.

    Args:
        source: opens images uint8 (N, 3, H, W) and labels (N,) or (N, K).
        change: harmless changes of a picture before the attack.
    """

    def open_data() -> Loss:
        images, labels = source()

        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            assert isinstance(network, Besieged)
            x, chosen = augment.draw(images, batch, generator)
            x, wanted = change(x, generator), labels[chosen]
            attacked = ascend(network, x, wanted, losses, network.radius(), generator)
            return losses(network(attacked), wanted).mean()

        return loss

    return open_data


def ascend(
    network: nn.Module,
    x: Tensor,
    labels: Tensor,
    losses: Losses,
    epsilon: float,
    generator: torch.Generator,
) -> Tensor:
    """Pictures moved up the loss inside the ball: projected gradient steps of equal length.

    Args:
        x: pictures in [-1, 1], (B, 3, H, W).
        epsilon: radius of the ball, on [0, 1].
    """
    reach = 2 * epsilon  # pictures are in [-1, 1] here
    start = torch.randn(x.shape, generator=generator)
    share = torch.rand(len(x), 1, 1, 1, generator=generator)
    delta = reach * share * start / _length(start)
    column: Tensor | None = None
    for _ in range(STEPS):
        at = (x + delta).clamp(-1, 1).requires_grad_()
        values = losses(network(at), labels)
        if column is None:
            shape = (len(x), 1)
            column = torch.randint(values.shape[1], shape, generator=generator)
        (gradient,) = torch.autograd.grad(values.gather(1, column).sum(), at)
        moved = at.detach() + STRETCH * reach * gradient / _length(gradient) - x
        delta = moved * (reach / _length(moved)).clamp(max=1)
    return (x + delta).clamp(-1, 1)


def _length(x: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
    return lengths.clamp_min(1e-12)


def robust_part(
    *,
    title: str,
    summary: str,
    config: dict[str, Any],
    settings: LoopSettings,
    loss: Callable[[], Loss],
    epsilon: float,
    questions: Callable[[], Sequence[Question]],
    floors: dict[str, float],
    facts: dict[str, Any],
) -> Part:
    """The part of a hardened network, whose radius grows over the first 30 % of its steps."""
    return Part(
        name="robust",
        title=title,
        summary=f"{summary} Adversarially trained in L2 balls of radius {epsilon:g} on [0, 1].",
        architecture="smooth-classifier",
        config=config,
        settings=settings,
        loss=loss,
        measure=lambda network: robust_figures(network, questions(), epsilon),
        wrap=lambda network: Besieged(network, epsilon, round(0.3 * settings.steps)),
        floors=floors,
        facts={"unit": 1.0, "epsilon": epsilon, **facts},
    )
