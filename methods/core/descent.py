"""The descent: a loss of generated images is followed downwards to what they are generated from.

v ← rule(v, ∇_v loss(generate(v))), again and again. A method says what v is (an image, a point
behind tanh, a latent), how images come from it, and how a gradient moves it; the loop knows no
scale, no norm, no ball and no distance.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vcebench.methods.core.adam import rows
from vcebench.methods.core.guidance import BoundGuidance, Guidance
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Method, Trace
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Prior


@dataclass
class Descent:
    """Where the descent stands.

    Attributes:
        prior: what images are generated with, if anything.
        guidance: classifier, input and target.
        noise: of these images.
        v: what moves, with shape (B, …).
        extras: what else belongs to the input.
        images: those of the last pass, in [-1, 1] with shape (B, C, H, W); (B·E, C, H, W), all of
            the first input first, where a method generates E of each.
        step: number of the pass, 0 for the first.
        losses: of those images, with shape (B,).
        nfe, backward: evaluations of networks that generate and backward passes through them so
            far, (B,).
        stopped: inputs that are done, bool (B,); they keep v, memory and counts.
        memory: what a method keeps from one pass to the next.
    """

    prior: Prior | None
    guidance: BoundGuidance
    noise: Noise
    extras: Extras = NOTHING
    step: int = 0
    v: Tensor = field(init=False)
    images: Tensor = field(init=False)
    losses: Tensor = field(init=False)
    memory: Any = None
    nfe: Tensor = field(init=False)
    backward: Tensor = field(init=False)
    stopped: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.v = self.images = self.x
        self.nfe = torch.zeros(len(self.x), dtype=torch.int64, device=self.x.device)
        self.backward = self.nfe.clone()
        self.stopped = torch.zeros_like(self.nfe, dtype=torch.bool)

    @property
    def x(self) -> Tensor:
        """The input images."""
        return self.guidance.x

    @property
    def x_unit(self) -> Tensor:
        """The input images on [0, 1]."""
        return (self.x + 1) / 2


@dataclass(frozen=True)
class Descending(Method):
    """A method that is a descent: the choices of the loop. Unless chosen, v is the image itself."""

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
        """See `Method.explain`."""
        self.check(prior, tuple(x.shape[1:]))
        return descend(self, Descent(prior, guidance.bind(x, target), noise, extras), trace)

    @property
    @abstractmethod
    def passes(self) -> int:
        """How often v is moved."""

    @property
    def steps(self) -> int:
        return self.passes

    def begin(self, state: Descent) -> Tensor:
        """The first v, with shape (B, …)."""
        return state.x

    def generate(self, state: Descent, v: Tensor) -> Tensor:
        """Images in [-1, 1] from v, with the graph back to it.

        It counts its evaluations of the prior in `state.nfe`, and in `state.backward` those that
        the gradient goes back through.
        """
        return v

    @abstractmethod
    def loss(self, state: Descent, images: Tensor) -> Tensor:
        """What the images are to make small, one value each: (B,). They never mix."""

    @abstractmethod
    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        """The next v, from the gradient of the loss at v; inputs that are done stay anyway."""

    def stop(self, state: Descent) -> Tensor | None:
        """Which inputs are done with the images of this pass, bool (B,); None is none ever.

        They are not moved any more; what is generated of them stays as it is.
        """
        return None

    def finish(self, state: Descent) -> Tensor:
        """The counterfactual in [-1, 1], from the last v."""
        return state.v


def descend(method: Descending, state: Descent, trace: Trace | None = None) -> Explanation:
    """Move v `passes` times downhill, or until all inputs are done, with a method's choices."""
    state.v = method.begin(state)
    for state.step in range(method.passes):
        with torch.enable_grad():
            at = state.v.detach().requires_grad_()
            images = method.generate(state, at)
            loss = method.loss(state, images)
            state.images, state.losses = images.detach(), loss.detach()
            if trace is not None:
                left = method.passes - 1 - state.step
                # The first of E images stands for them.
                shown = state.images[:: len(state.images) // len(state.x)]
                trace.record(state.step, left, state.v, shown, None, None)
            (gradient,) = torch.autograd.grad(loss.sum(), at)
        done = method.stop(state)
        if done is None:
            state.v = method.rule(state, gradient)
            continue
        state.stopped = state.stopped | done
        if bool(state.stopped.all()):
            break
        moved = method.rule(state, gradient)
        state.v = torch.where(rows(state.stopped, moved), state.v, moved)
    return Explanation(method.finish(state), state.nfe, backward=state.backward)
