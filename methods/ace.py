"""ACE: an adversarial attack through a diffusion filter, then a refinement by the same prior.

The classifier sees the attacked image x' only after the filter F has noised and denoised it for a
few steps, so that noise in pixels does not help; what the attack changed little is then put back by
inpainting. Images are in [0, 1] here, as in the released program: differences from x and their
signs depend on it.

Reference: Adversarial Counterfactual Visual Explanations (Jeanneret et al., CVPR 2023), and the
program released with it. Different from the program: losses are summed over the images and not
averaged, so that no image depends on its batch (its λ there is λ times the batch size here), and an
image that the attack does not change is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from vcebench.methods.core.descent import Descending, Descent, descend
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.masks import pixel_difference
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Trace, given, setting
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.sampler import chain, reverse
from vcebench.methods.refinement import Onwards, Refinement

_MARGIN = 1e-5
"""c: how far tanh reaches beyond [0, 1], so that it can be inverted."""


@dataclass(frozen=True)
class ACEAttack(Descending):
    """The attack alone: x' is the counterfactual, what the program calls pre-explanation.

    x' ← Π(x' - α·sign(∇L(F(x')) + λ₁·sign(δ) + λ₂·δ/‖δ‖₂)) with δ = x' - x, L = -log p(target)
    among all classes, and Π the clamp to [x - ε, x + ε] and [0, 1]. F(v) is the end of an unguided
    reverse process from q(2v - 1) at index τ - 1, mapped back to [0, 1]; the gradient goes through
    all of it. The calibrated unit of the class gradient is not used.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"prior"})
    weights: ClassVar[frozenset[str]] = frozenset()

    iterations: int = setting(50, "N, steps of the attack", low=0)
    step: float = setting(1 / 255, "α, length of a step on the [0, 1] scale", above=0.0)
    epsilon: float = setting(1.0, "ε, largest change of a value on the [0, 1] scale", above=0.0)
    distance_l1: float = setting(0.001, "λ₁, weight of the ℓ1 distance from the input", low=0.0)
    distance_l2: float = setting(0.1, "λ₂, weight of the ℓ2 distance from the input", low=0.0)
    filter_steps: int = setting(5, "τ, steps of the filter", low=1)
    respacing: int = setting(50, "steps kept of the prior's full chain, for the filter", low=1)

    @property
    def passes(self) -> int:
        return self.iterations

    def evaluations(self) -> tuple[int, int]:
        attack = self.passes * self.filter_steps
        return attack, attack

    def check(self, prior: Prior | None, shape: tuple[int, ...]) -> None:
        base = given(prior).schedule.base
        longest = self.respacing if base is None else len(base)
        if self.respacing > longest:
            raise MethodError(
                f"respacing is {self.respacing}, but the prior was trained on {longest} steps; "
                f"use 1 … {longest}"
            )
        if self.filter_steps > self.respacing:
            raise MethodError(
                f"filter-steps is {self.filter_steps}, but {self.respacing} steps are kept of the "
                f"prior's chain; use 1 … {self.respacing}"
            )

    def explain(
        self,
        x: Tensor,
        target: Tensor,
        *,
        prior: Prior | None,
        guidance: Guidance,
        noise: Noise,
        trace: Trace | None = None,
        extras: Extras = NOTHING,
    ) -> Explanation:
        self.check(prior, tuple(x.shape[1:]))
        state = Descent(given(prior).respaced(self.respacing), guidance.bind(x, target), noise)
        return descend(self, state, trace)

    def begin(self, state: Descent) -> Tensor:
        return state.x_unit

    def image(self, v: Tensor) -> Tensor:
        """x' in [0, 1] from what moves."""
        return v

    def generate(self, state: Descent, v: Tensor) -> Tensor:
        return self.filtered(state, self.image(v))

    def filtered(self, state: Descent, image: Tensor) -> Tensor:
        """F of an image in [0, 1], in [-1, 1], with the graph back to it."""
        prior, last = given(state.prior), self.filter_steps - 1
        start = state.noise.draw("filter-start", state.step)
        z = prior.schedule.q_sample(2 * image - 1, last, start)
        draw = partial(state.noise.draw, "filter", state.step)
        state.nfe += self.filter_steps
        state.backward += self.filter_steps
        return chain(prior, z, self.filter_steps, draw, differentiable=True)

    def loss(self, state: Descent, images: Tensor) -> Tensor:
        return -state.guidance.log_prob(images)

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        return self.moved(state, torch.sign(gradient + self.pull(state, state.v - state.x_unit)))

    def moved(self, state: Descent, direction: Tensor) -> Tensor:
        """x' after a step against a direction, within ε of x and within [0, 1]."""
        x = state.x_unit
        moved = state.v - self.step * direction
        return torch.maximum(x - self.epsilon, torch.minimum(x + self.epsilon, moved)).clamp(0, 1)

    def pull(self, state: Descent, change: Tensor) -> Tensor:
        """Gradient of the distances at a change from the input; 0 where nothing is changed."""
        length = change.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        towards = torch.where(length > 0, change / length, 0.0)
        return self.distance_l1 * torch.sign(change) + self.distance_l2 * towards

    def finish(self, state: Descent) -> Tensor:
        return 2 * self.image(state.v) - 1


@dataclass(frozen=True)
class ACE(ACEAttack):
    """The attack, then its refinement.

    Where |x' - x|, summed over channels and relative to its maximum, is at least u (and around it),
    x' is noised and denoised once more; everything else is put back to the input before every
    step. u = 0 filters the whole image. No classifier takes part, so that a flip can be lost.
    """

    threshold: float = setting(
        0.15, "u, relative difference from which on a pixel is edited", low=0.0
    )
    dilation: int = setting(15, "side of the mask's dilation, in pixels", low=1, odd=True)

    @property
    def steps(self) -> int:
        return self.passes + self.filter_steps

    def evaluations(self) -> tuple[int, int]:
        forward, backward = super().evaluations()
        return forward + self.filter_steps, backward

    def explain(
        self,
        x: Tensor,
        target: Tensor,
        *,
        prior: Prior | None,
        guidance: Guidance,
        noise: Noise,
        trace: Trace | None = None,
        extras: Extras = NOTHING,
    ) -> Explanation:
        self.check(prior, tuple(x.shape[1:]))
        respaced, bound = given(prior).respaced(self.respacing), guidance.bind(x, target)
        state = Descent(respaced, bound, noise)
        attacked = descend(self, state, trace)
        draft = self.image(state.v)
        refined = reverse(
            Refinement(self.filter_steps, draft=draft),
            respaced,
            bound,
            noise,
            None if trace is None else Onwards(trace, self.passes),
            Extras(region=self.edited(draft, state.x_unit)),
        )
        edited = refined.region  # found by the method itself: its mask, and no region it was told
        return replace(
            refined,
            nfe=attacked.nfe + refined.nfe,
            backward=attacked.backward,
            mask_z=edited,
            mask_x=edited,
            region=None,
        )

    def edited(self, draft: Tensor, x: Tensor) -> Tensor | None:
        """Where the attack changed the input, (B, 1, H, W); None, which is everywhere, at u = 0.

        Args:
            draft, x: x' and the input in [0, 1], with shape (B, C, H, W).
        """
        if self.threshold == 0:
            return None
        return pixel_difference(draft, x, self.threshold, self.dilation)


@dataclass(frozen=True)
class ACEGradient(ACE):
    """*GD*: x' moves by the gradient itself instead of its sign."""

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        return self.moved(state, gradient + self.pull(state, state.v - state.x_unit))


@dataclass(frozen=True)
class ACEPixel(ACE):
    """The classifier sees x' itself: a plain adversarial attack, then the refinement."""

    def evaluations(self) -> tuple[int, int]:
        return self.filter_steps, 0

    def generate(self, state: Descent, v: Tensor) -> Tensor:
        return 2 * self.image(v) - 1


@dataclass(frozen=True)
class ACETanh(ACE):
    """*C&W*: x' is a tanh of what moves, and the loss ends where the target leads.

    x' = (tanh w + 1)(c + ½), w in [-3, 3]; L = relu(f_rival - f_target), f of one logit ±f. The
    program returns x' as it was before its last step, so N iterations move it N - 1 times; the
    gradient nobody uses is not computed here. There is no ball, and pure black and white are lost.
    """

    epsilon: float = 1.0  # no ball, hence no setting

    @property
    def passes(self) -> int:
        return max(0, self.iterations - 1)

    def begin(self, state: Descent) -> Tensor:
        return torch.atanh(2 * state.x_unit / (1 + _MARGIN) - 1)

    def image(self, v: Tensor) -> Tensor:
        return (torch.tanh(v) + 1) * (_MARGIN + 0.5)

    def loss(self, state: Descent, images: Tensor) -> Tensor:
        classifier, target = state.guidance.weights.classifier, state.guidance.target
        with torch.no_grad():
            rival = classifier.predict(images)  # the target itself, once it leads
        return torch.relu(classifier.logit(images, rival) - classifier.logit(images, target))

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        pull = self.pull(state, self.image(state.v) - state.x_unit)
        slope = (_MARGIN + 0.5) * (1 - torch.tanh(state.v).square())
        return (state.v - self.step * (gradient + slope * pull)).clamp(-3, 3)


_PAPER = "Jeanneret et al., Adversarial Counterfactual Visual Explanations, CVPR 2023"


def _entry(
    factory: type[ACEAttack], summary: str, nfe: str, norm: str = "l1", **fixed: Any
) -> Entry:
    """An attack with one distance; the other's weight is 0."""
    other = {"l1": "distance_l2", "l2": "distance_l1"}[norm]
    return Entry(factory, summary, _PAPER, nfe, {other: 0.0, **fixed}, preset=f"ace-{norm}")


ENTRIES = {
    "ace-l1": _entry(ACE, "attack through a diffusion filter, ℓ1 distance, refined", "(N+1)τ"),
    "ace-l2": _entry(
        ACE, "attack through a diffusion filter, ℓ2 distance, refined", "(N+1)τ", "l2"
    ),
    "ace-l1-pre": _entry(ACEAttack, "the attack of ace-l1 alone (pre-explanation)", "Nτ"),
    "ace-l2-pre": _entry(ACEAttack, "the attack of ace-l2 alone (pre-explanation)", "Nτ", "l2"),
    "ace-l1-gd": _entry(
        ACEGradient, "ace-l1 by plain gradient descent, without the sign", "(N+1)τ"
    ),
    "ace-l1-cw": _entry(ACETanh, "ace-l1 by the attack of Carlini and Wagner", "Nτ"),
    "ace-l1-pixel": _entry(ACEPixel, "ace-l1 without the filter: a plain attack, refined", "τ"),
    "ace-l1-no-inpainting": _entry(ACE, "ace-l1, refined everywhere", "(N+1)τ", threshold=0.0),
    "ace-filter": _entry(
        ACE,
        "no attack: what the filter alone changes",
        "τ",
        iterations=0,
        threshold=0.0,
        step=1 / 255,
        epsilon=1.0,
        distance_l1=0.0,
        dilation=1,
    ),
}
