"""The guided reverse loop. Guided methods run through it and only make their choices.

One step at index i: posterior at z, clean estimate, gradient there, masks, update of z inside the
mask, input noised outside of it, preparation of the next estimate.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import BoundGuidance, Guidance
from vcebench.methods.core.masks import blend
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Method, Trace, given, setting
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Posterior, Prior
from vcebench.methods.core.regions import Region

Masks = tuple[Tensor | None, Tensor | None]
"""(M^z, M^x), boolean with shape (B, 1, H, W); None means everywhere."""


class Gradient(NamedTuple):
    """What guidance says in one step.

    `total` is subtracted, times the variance; `class_` is the class term alone, ∇L_class/√ᾱ, that
    masks are made from. Both have shape (B, C, H, W).
    """

    total: Tensor
    class_: Tensor


@dataclass
class State:
    """Where the loop stands.

    `stopped`, with shape (B,), marks images whose guidance has ended; `region`, boolean with shape
    (B, 1, H, W), is where the images may change, None if everywhere; `posterior` is this step's;
    `origin` is the input in the prior's space, which z is in, and `shape` that of an image's noise
    there, None in pixels; `keeps` says that x_t is looked at even if no gradient is taken there;
    `memory` is what a method keeps from one step to the next;
    `nfe` and `backward`, (B,), count evaluations of the prior and backward passes through it.
    """

    prior: Prior
    guidance: BoundGuidance
    noise: Noise
    pass_index: int
    z: Tensor
    x_t: Tensor
    nfe: Tensor
    stopped: Tensor
    backward: Tensor
    region: Tensor | None = None
    keeps: bool = False
    origin: Tensor = field(init=False)
    shape: tuple[int, ...] | None = field(init=False)
    posterior: Posterior = field(init=False)
    memory: Any = None
    step: int = 0
    i: int = 0
    mask_z: Tensor | None = None
    mask_x: Tensor | None = None

    def __post_init__(self) -> None:
        with torch.no_grad():
            self.origin = self.prior.space.encode(self.x, self.noise)
        self.shape = None if self.origin is self.x else tuple(self.origin.shape[1:])

    @property
    def x(self) -> Tensor:
        """The input images."""
        return self.guidance.x

    @property
    def sqrt_alpha_bar(self) -> float:
        """√ᾱ at the current index."""
        return self.prior.schedule.sqrt_alpha_bar(self.i)

    def draw(self, purpose: str, inner_step: int = 0) -> Tensor:
        """Noise of this step."""
        if self.shape is None:
            return self.noise.draw(purpose, self.step, inner_step, self.pass_index)
        return self.noise.draw(purpose, self.step, inner_step, self.pass_index, self.shape)

    def pull_back(self, gradient: Tensor) -> Tensor:
        """A gradient with respect to x_t turned into one with respect to z, through the prior.

        For methods that differentiate `through_prior`, while their `gradient` runs.
        """
        self.backward += 1
        (pulled,) = torch.autograd.grad(self.x_t, self.z, gradient, retain_graph=True)
        return pulled

    def settle(self) -> None:
        """Forget the graph of this step's evaluation."""
        self.z, self.x_t = self.z.detach(), self.x_t.detach()
        self.posterior = self.posterior.detached()

    def noised_input(self, i: int) -> Tensor:
        """The input noised to index i with this step's noise; at index -1, the input itself."""
        if i < 0:
            return self.origin
        return self.prior.schedule.q_sample(self.origin, i, self.draw("outside"))


@dataclass(frozen=True)
class Guided(Method):
    """A method that is a guided reverse process: τ, and the choices of the loop.

    Attributes:
        through_prior: the graph of a step's evaluation is kept until its gradient is known, so that
            gradients can go back through the prior (`State.pull_back`).
        clip_estimate: x̂0 is clipped to [-1, 1].
    """

    regional: ClassVar[bool] = True
    through_prior: ClassVar[bool] = False
    clip_estimate: ClassVar[bool] = True

    tau: int = setting(
        60, "steps of the reverse loop; the input is noised to about this index", low=1
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
        """See `Method.explain`."""
        return reverse(self, prior, guidance.bind(x, target), noise, trace, extras)

    @property
    def steps(self) -> int:
        return self.tau

    def evaluations(self) -> tuple[int, int]:
        return self.tau, 0

    def check(self, prior: Prior | None, shape: tuple[int, ...]) -> None:
        last = len(given(prior).schedule) - 1
        if self.start() > last:
            longest = self.tau - (self.start() - last)
            raise MethodError(
                f"tau is {self.tau}, but the prior's schedule has {last + 1} steps; "
                f"use 1 … {longest}"
            )

    def start(self) -> int:
        """Index the input is noised to before the first step."""
        return self.tau

    def default_region(self) -> Region | None:
        """Where images may change if nobody says where; None means everywhere."""
        return None

    def begin(self, state: State) -> Tensor:
        """The first z; the input noised to `start()` unless a method begins elsewhere."""
        return state.prior.schedule.q_sample(state.origin, self.start(), state.draw("start"))

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        """The clean estimate x_t the gradient is taken at."""
        return state.x_t

    @abstractmethod
    def gradient(self, state: State) -> Gradient:
        """Gradient of the joint loss, scaled as the method scales it."""

    def masks(self, state: State, posterior: Posterior, gradient: Gradient) -> Masks:
        """The masks of this step."""
        return None, None

    def update(self, state: State, posterior: Posterior, gradient: Gradient) -> Tensor:
        """The next z inside the mask: a draw from N(mean - Σ·gradient, Σ), noiseless at i = 0."""
        z = posterior.mean - posterior.variance * gradient.total
        if state.i > 0:
            z = z + posterior.sigma * state.draw("posterior")
        return z

    def outside(self, state: State) -> Tensor:
        """The next z outside the mask."""
        return state.noised_input(state.i)

    def advance(self, state: State, posterior: Posterior) -> Tensor:
        """x_t handed to the next step."""
        return state.x_t

    def finish(self, state: State) -> Tensor:
        """The counterfactual in the prior's space, from the last z."""
        return state.z


def reverse(
    method: Guided,
    prior: Prior | None,
    guidance: BoundGuidance,
    noise: Noise,
    trace: Trace | None = None,
    extras: Extras = NOTHING,
    pass_index: int = 0,
) -> Explanation:
    """Run the guided reverse process from index τ-1 down to 0 with a method's choices.

    It walks in the prior's space: z, masks and noise have the size of its points, x_t is a picture.
    Inside a region both masks are cut to it, and outside of it the result is the input bit for bit.

    Raises:
        MethodError: see `Method.check`.
    """
    x, region = guidance.x, extras.region
    if region is None and (finder := method.default_region()) is not None:
        region = finder(guidance, noise)
    method.check(prior, tuple(x.shape[1:]))
    nfe = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    stopped = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    backward = nfe.clone()
    bound = given(prior).bind(guidance.target, guidance.weights.source)
    keeps = trace is not None and trace.keeps
    state = State(bound, guidance, noise, pass_index, x, x, nfe, stopped, backward, region, keeps)
    state.z = method.begin(state)
    mask_z = mask_x = None
    for state.step, state.i in enumerate(reversed(range(method.tau))):
        with torch.set_grad_enabled(method.through_prior):
            state.posterior = _evaluate(method, state)
            state.nfe += bound.asks
            state.x_t = method.estimate(state, state.posterior)
        gradient = method.gradient(state)
        if method.through_prior:
            state.settle()
        posterior = state.posterior
        mask_z, mask_x = method.masks(state, posterior, gradient)
        state.mask_z, state.mask_x = _within(region, mask_z), _within(region, mask_x)
        if trace is not None:
            masks = _picture(state, state.mask_z), _picture(state, state.mask_x)
            trace.record(state.step, state.i, state.z, state.x_t, *masks)
        inside = method.update(state, posterior, gradient)
        state.z = (
            inside if state.mask_z is None else blend(state.mask_z, inside, method.outside(state))
        )
        state.x_t = method.advance(state, posterior)
    with torch.no_grad():
        x_cf = blend(region, bound.space.decode(method.finish(state)), x)
    # A method without masks of its own has none inside a region either.
    mask_z = None if mask_z is None else _picture(state, state.mask_z)
    mask_x = None if mask_x is None else _picture(state, state.mask_x)
    return Explanation(x_cf, state.nfe, mask_z, mask_x, state.backward, region)


def _evaluate(method: Guided, state: State) -> Posterior:
    """This step's posterior; with the graph back to z where gradients go through the prior."""
    if not method.through_prior:
        return state.prior.posterior(state.z, state.i, clip=method.clip_estimate)
    state.z = state.z.detach().requires_grad_()
    # Kept, not computed again: one graph is the peak either way, and several gradients use it.
    output = state.prior.evaluate(state.z, state.i)
    return state.prior.from_output(state.z, state.i, output, method.clip_estimate)


def chain(
    prior: Prior,
    z: Tensor,
    i: int,
    draw: Callable[[int], Tensor] | None,
    *,
    differentiable: bool = False,
) -> Tensor:
    """The end of the unguided reverse process from z over the indices i-1 … 0.

    Args:
        prior: the diffusion prior.
        z: noisy images at index i-1, with shape (B, C, H, W).
        i: number of steps, each one evaluation of the prior.
        draw: noise of the n-th step, n = 0, 1, …; not asked at index 0. None makes all of them
            noiseless.
        differentiable: keep the graph back to z; memory is that of one evaluation all the same.
    """
    for n, j in enumerate(reversed(range(i))):
        posterior = prior.posterior(z, j, differentiable=differentiable)
        z = posterior.mean if draw is None or j == 0 else posterior.sample(draw(n))
    return z


def _within(region: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """A mask cut to the region; None stands for everywhere in both."""
    return mask if region is None else region if mask is None else mask & region


def _picture(state: State, mask: Tensor | None) -> Tensor | None:
    """A mask of the prior's space at the size of the images."""
    return None if mask is None else state.prior.space.enlarge(mask, state.x)
