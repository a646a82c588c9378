"""The guided reverse loop. Every method runs through it and only makes its choices.

One step at index i: posterior at z, clean estimate, gradient there, masks, update of z inside the
mask, input noised outside of it, preparation of the next estimate.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import BoundGuidance, Guidance
from vcebench.methods.core.masks import blend
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Posterior, Prior


class Trace(Protocol):
    """Receives what a step worked with (Figure 3 of MaskDiME is drawn from it)."""

    def record(
        self,
        step: int,
        i: int,
        z: Tensor,
        x_t: Tensor,
        mask_z: Tensor | None,
        mask_x: Tensor | None,
    ) -> None:
        """Called once a step.

        Args:
            step: loop step, 0 for the first.
            i: respaced index, counting down to 0.
            z: noisy images at the beginning of the step, with shape (B, C, H, W).
            x_t: clean estimates the gradient was taken at, alike.
            mask_z, mask_x: masks in force in this step, (B, 1, H, W) boolean, or None.
        """
        ...


Masks = tuple[Tensor | None, Tensor | None]
"""(M^z, M^x), boolean with shape (B, 1, H, W); None means everywhere."""


class Gradient(NamedTuple):
    """What guidance says in one step.

    `total` is subtracted, times the variance; `class_` is the class term alone, ∇L_class/√ᾱ, that
    masks are made from. Both have shape (B, C, H, W).
    """

    total: Tensor
    class_: Tensor


@dataclass(frozen=True)
class Explanation:
    """Counterfactuals and what they cost.

    Attributes:
        x_cf: counterfactuals with shape (B, C, H, W), in [-1, 1] but neither clipped nor quantised.
        nfe: evaluations of the prior each image needed, int64 with shape (B,).
        mask_z, mask_x: last masks, boolean with shape (B, 1, H, W); None if the method has none.
    """

    x_cf: Tensor
    nfe: Tensor
    mask_z: Tensor | None = None
    mask_x: Tensor | None = None


@dataclass
class State:
    """Where the loop stands; `stopped`, with shape (B,), marks images whose guidance has ended."""

    prior: Prior
    guidance: BoundGuidance
    noise: Noise
    pass_index: int
    z: Tensor
    x_t: Tensor
    nfe: Tensor
    stopped: Tensor
    step: int = 0
    i: int = 0
    mask_z: Tensor | None = None
    mask_x: Tensor | None = None

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
        return self.noise.draw(purpose, self.step, inner_step, self.pass_index)

    def noised_input(self, i: int) -> Tensor:
        """The input noised to index i with this step's noise; at index -1, the input itself."""
        if i < 0:
            return self.x
        return self.prior.schedule.q_sample(self.x, i, self.draw("outside"))


def setting(default: Any, help: str, **bounds: Any) -> Any:
    """A dataclass field that is a user's setting: default, one line of help, bounds.

    Bounds: `low`/`high` (inclusive), `above` (exclusive), `odd`.
    """
    return dataclasses.field(default=default, metadata={"help": help, **bounds})


@dataclass(frozen=True)
class Method(ABC):
    """A counterfactual method: its settings as fields, its choices as methods."""

    tau: int = setting(
        60, "steps of the reverse loop; the input is noised to about this index", low=1
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))

    def settings(self) -> dict[str, Any]:
        """The user's settings by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata}

    def explain(
        self,
        x: Tensor,
        target: Tensor,
        *,
        prior: Prior,
        guidance: Guidance,
        noise: Noise,
        trace: Trace | None = None,
    ) -> Explanation:
        """Counterfactuals for a batch.

        Args:
            x: input images in [-1, 1], float32 with shape (B, C, H, W).
            target: target classes, int64 with shape (B,).
            prior: the diffusion prior.
            guidance: joint loss with its weights; its per-image tensors have shape (B,).
            noise: source of noise for these images.
            trace: told of every step, if given.

        Raises:
            MethodError: if τ is beyond the prior's schedule.
        """
        return reverse(self, prior, guidance.bind(x, target), noise, trace)

    def start(self) -> int:
        """Index the input is noised to before the first step."""
        return self.tau

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
        """The counterfactual, from the last z."""
        return state.z


def reverse(
    method: Method,
    prior: Prior,
    guidance: BoundGuidance,
    noise: Noise,
    trace: Trace | None = None,
    pass_index: int = 0,
) -> Explanation:
    """Run the guided reverse process from index τ-1 down to 0 with a method's choices."""
    _check_tau(method, prior)
    x = guidance.x
    first = prior.schedule.q_sample(x, method.start(), noise.draw("start", 0, 0, pass_index))
    nfe = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    stopped = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    state = State(prior, guidance, noise, pass_index, first, x, nfe, stopped)
    for state.step, state.i in enumerate(reversed(range(method.tau))):
        posterior = prior.posterior(state.z, state.i)
        state.nfe += 1
        state.x_t = method.estimate(state, posterior)
        gradient = method.gradient(state)
        state.mask_z, state.mask_x = method.masks(state, posterior, gradient)
        if trace is not None:
            trace.record(state.step, state.i, state.z, state.x_t, state.mask_z, state.mask_x)
        inside = method.update(state, posterior, gradient)
        state.z = (
            inside if state.mask_z is None else blend(state.mask_z, inside, method.outside(state))
        )
        state.x_t = method.advance(state, posterior)
    return Explanation(method.finish(state), state.nfe, state.mask_z, state.mask_x)


def _check_tau(method: Method, prior: Prior) -> None:
    last = len(prior.schedule) - 1
    if method.start() > last:
        longest = method.tau - (method.start() - last)
        raise MethodError(
            f"tau {method.tau} is beyond the prior's schedule of {len(prior.schedule)} steps; "
            f"use 1 … {longest}"
        )


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    """Refuse a setting outside its bounds, in one sentence."""
    rules = field.metadata
    if not rules or value is None or isinstance(value, (str, bool)):
        return
    low, high = rules.get("low", -math.inf), rules.get("high", math.inf)
    above = rules.get("above", -math.inf)
    wanted = "a finite number"
    if "high" in rules:
        wanted = f"a number in ({above:g}, {high:g}]" if "above" in rules else f"{low} … {high}"
    elif "above" in rules:
        wanted = f"a number above {above:g}"
    elif "low" in rules:
        wanted = f"a whole number from {low} on" if isinstance(low, int) else f"at least {low:g}"
    if rules.get("odd"):
        wanted = "an odd whole number"
    whole = not isinstance(low, int) or float(value).is_integer()
    fits = math.isfinite(value) and low <= value <= high and value > above and whole
    if not fits or (rules.get("odd") and value % 2 != 1):
        raise MethodError(f"{field.name.replace('_', '-')} is {value}; use {wanted}")
