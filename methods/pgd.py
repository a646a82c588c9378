"""Projected gradient descent on the class loss: an adversarial attack, not an explanation.

x_{t+1} = Π_{B(x, ε) ∩ [-1, 1]}(x_t - α·d(∇L_class(x_t))), d the sign (ℓ∞) or the unit vector (ℓ2).

No prior keeps the result among images, so it flips the decision with a change that nobody sees: a
baseline that a metric of explanations has to tell from an explanation.

References: Towards Deep Learning Models Resistant to Adversarial Attacks (Madry et al., ICLR 2018),
Equation 2 and the projected gradient descent below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vcebench.methods.core.descent import Descending, Descent
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import unknown
from vcebench.methods.core.method import setting
from vcebench.methods.core.noise import Noise

NORMS = ("linf", "l2")

LAMBDA_CLASS = 8.0
"""The λ_c at which the radius is ε: the first one of the papers' ladder."""


@dataclass(frozen=True)
class PGD(Descending):
    """τ gradient steps in pixel space; the prior is never evaluated.

    The length of the gradient is not used, so λ_c has another meaning here: the radius is in
    proportion to it, which makes an image that does not flip be tried again in a larger ball.
    """

    needs = frozenset()

    tau: int = setting(40, "gradient steps", low=1)
    epsilon: float = setting(
        8 / 255,
        "radius of the ball at λ_c = 8, in each pixel (linf) or as the root mean square (l2)",
        above=0,
    )
    step_size: float = setting(2.5, "length of a step, in radii over τ", above=0)
    norm: str = setting("linf", "norm of the ball: linf or l2")
    random_start: bool = setting(True, "begin at a random point of the ball")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm not in NORMS:
            raise unknown("norm", str(self.norm), NORMS)

    @property
    def passes(self) -> int:
        return self.tau

    def evaluations(self) -> tuple[int, int]:
        return 0, 0

    def begin(self, state: Descent) -> Tensor:
        if not self.random_start:
            return state.x
        return self._kept(state, _random(state.noise, self._radius(state)))

    def loss(self, state: Descent, images: Tensor) -> Tensor:
        return state.guidance.class_loss(images)

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        direct = torch.sign if self.norm == "linf" else _unit
        step = self.step_size * self._radius(state) / self.tau
        return self._kept(state, state.v - step * direct(gradient) - state.x)

    def _radius(self, state: Descent) -> Tensor:
        """Of each image's ball, with shape (B, 1, 1, 1)."""
        relative = (state.guidance.weights.lambda_class / LAMBDA_CLASS).view(-1, 1, 1, 1)
        return 2 * self.epsilon * relative  # images are in [-1, 1]

    def _kept(self, state: Descent, change: Tensor) -> Tensor:
        """The nearest point of the ball around x, then of the images."""
        project = _box if self.norm == "linf" else _ball
        return (state.x + project(change, self._radius(state))).clamp(-1, 1)


def _random(noise: Noise, radius: Tensor) -> Tensor:
    """Uniform in the box: the distribution function of the normal, applied to keyed noise."""
    return radius * torch.erf(noise.draw("start", 0) / 2**0.5)


def _box(change: Tensor, radius: Tensor) -> Tensor:
    return torch.maximum(torch.minimum(change, radius), -radius)


def _ball(change: Tensor, radius: Tensor) -> Tensor:
    """Shortened to a root mean square of `radius`."""
    return change * (radius / _size(change)).clamp(max=1)


def _unit(gradient: Tensor) -> Tensor:
    """With a root mean square of 1; a gradient of zeros stays."""
    return gradient / _size(gradient)


def _size(change: Tensor) -> Tensor:
    """Root mean square of an image, with shape (B, 1, 1, 1), never zero."""
    return change.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)


ENTRIES = {
    "pgd": Entry(
        PGD,
        "adversarial attack in pixel space, without a prior: a baseline that explains nothing",
        "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018",
        "0",
    ),
}
