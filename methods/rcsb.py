"""RCSB: an image is inpainted inside a region, towards another class.

Reference: Rethinking Visual Counterfactual Explanations Through Region Constraint (Sobieski et al.,
ICLR 2025). What its paper leaves open is as in its authors' code; where both differ, `rcsb-a`, `-b`
and `-c` follow the paper and `rcsb-released` the code.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from vcebench.methods.core.adam import Moments
from vcebench.methods.core.bridge import BridgePrior
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.masks import blend
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Trace, setting
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Posterior, Prior
from vcebench.methods.core.regions import Cells, Region, ReleasedCells
from vcebench.methods.core.sampler import Gradient, Guided, State


@dataclass(frozen=True)
class Inpainting(Guided):
    """The region's content is mixed with noise, and a bridge leads it back: no guidance.

    Outside the region the input is put back after every move. `moves` evaluations of the bridge,
    however late it begins.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"bridge"})
    weights: ClassVar[frozenset[str]] = frozenset()
    clip_estimate: ClassVar[bool] = False

    tau: int = dataclasses.field(init=False, default=0)
    moves: int = setting(100, "moves of the bridge, each one evaluation", low=1)
    truncation: float = setting(
        0.6, "share of the bridge that is walked; 1 begins at noise alone", above=0.0, high=1.0
    )
    area: float = setting(0.3, "share of the image that the region covers", above=0.0, high=1.0)
    cell: int = setting(4, "side of the region's cells, in pixels", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tau", self.moves)

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
        return super().explain(
            x,
            target,
            prior=self._walk(prior),
            guidance=guidance,
            noise=noise,
            trace=trace,
            extras=extras,
        )

    def check(self, prior: Prior | None, shape: tuple[int, ...]) -> None:
        self._walk(prior)
        if shape and (shape[1] % self.cell or shape[2] % self.cell):
            raise MethodError(
                f"cell is {self.cell}; use a side that divides images of {shape[1]}x{shape[2]}"
            )

    def _walk(self, prior: Prior | None) -> BridgePrior:
        if not isinstance(prior, BridgePrior):
            raise MethodError("this method walks on an inpainting bridge, and there is none")
        return prior.respaced(self.moves, self.truncation)

    def default_region(self) -> Region | None:
        return Cells(self.area, self.cell)

    def begin(self, state: State) -> Tensor:
        prior = state.prior
        assert isinstance(prior, BridgePrior)
        corruption = blend(state.region, state.draw("fill"), state.x)
        if self.truncation == 1:
            return corruption
        return prior.bridge.q_sample(state.x, self.moves, corruption)

    def gradient(self, state: State) -> Gradient:
        nothing = torch.zeros_like(state.z)
        return Gradient(nothing, nothing)

    def update(self, state: State, posterior: Posterior, gradient: Gradient) -> Tensor:
        """Where the bridge leads from z - total, with the estimate made at z."""
        return posterior.mean - posterior.carry * gradient.total

    def outside(self, state: State) -> Tensor:
        return state.x


@dataclass(frozen=True)
class _Guided(Inpainting):
    """Steps up the log-probability of the target, through the bridge's network.

    z is shifted by h before every move, h a step along g = ∂/∂z log p(target | x̂), where x̂ is the
    clean estimate inside the region and the input outside of it. Another `moves` backward passes.
    """

    through_prior: ClassVar[bool] = True

    scale: float = setting(1.5, "guidance scale s", low=0.0)

    def evaluations(self) -> tuple[int, int]:
        return self.moves, self.moves

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        return blend(state.region, posterior.x0, state.x)

    def shown(self, x: Tensor) -> Tensor:
        """What the classifier is shown of an estimate."""
        return x

    def gradient(self, state: State) -> Gradient:
        classifier = state.guidance.weights.classifier
        ascent = state.guidance.log_prob_gradient(state.x_t, classifier, self.shown)
        ascent = state.pull_back(ascent)
        return Gradient(-self.scale * self.direction(state, ascent), -ascent)

    def direction(self, state: State, ascent: Tensor) -> Tensor:
        """The step that this gradient leads to, before the guidance scale."""
        return ascent


@dataclass(frozen=True)
class RCSBNaive(_Guided):
    """Gradient at z itself, as if it were an image: none goes through the network."""

    through_prior: ClassVar[bool] = False

    def evaluations(self) -> tuple[int, int]:
        return self.moves, 0

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        return state.z

    def gradient(self, state: State) -> Gradient:
        classifier = state.guidance.weights.classifier
        ascent = state.guidance.log_prob_gradient(state.z, classifier, self.shown)
        return Gradient(-self.scale * ascent, -ascent)


@dataclass(frozen=True)
class RCSBTweedie(_Guided):
    """Gradient through the clean estimate, as it is."""


@dataclass(frozen=True)
class RCSBAdam(_Guided):
    """Gradient through the clean estimate, stabilised by Adam's moments."""

    def direction(self, state: State, ascent: Tensor) -> Tensor:
        state.memory = (state.memory or Moments.zeros(ascent)).updated(ascent)
        return cast(Moments, state.memory).direction()


@dataclass(frozen=True)
class RCSB(_Guided):
    """RCSB: stabilised by Adam's moments, in units of the first step's norm over the image.

    The first step of Adam is a sign, so that this norm is √(C·H·W) wherever the gradient is not
    zero: s is the norm of a step over the whole image.
    """

    def pixel_step(self, shape: tuple[int, ...]) -> float:
        """How far the first step moves each value of an image (C, H, W): s/√(C·H·W)."""
        return float(self.scale / math.prod(shape) ** 0.5)

    def direction(self, state: State, ascent: Tensor) -> Tensor:
        moments, unit = state.memory or (Moments.zeros(ascent), None)
        moments = moments.updated(ascent)
        step = moments.direction()
        if unit is None:
            unit = torch.linalg.vector_norm(step, dim=(1, 2, 3), keepdim=True)
            unit = torch.where(unit > 0, unit, 1.0)
        state.memory = (moments, unit)
        return step / unit


@dataclass(frozen=True)
class SmallRCSB(RCSB):
    """RCSB within a small region, which needs larger steps (Table 1, A)."""

    scale: float = setting(3.0, "guidance scale s", low=0.0)


@dataclass(frozen=True)
class ReleasedRCSB(RCSB):
    """RCSB as its code computes: estimates are stretched before the classifier sees them.

    The classifier is shown the network's estimate outside the region too, as `stretched` by the
    images of the batch.
    """

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        return posterior.x0

    def shown(self, x: Tensor) -> Tensor:
        return stretched(x)

    def default_region(self) -> Region | None:
        return ReleasedCells(self.area, self.cell)


def stretched(x: Tensor) -> Tensor:
    """What RCSB's program shows a classifier of estimates (B, C, H, W).

    Every image's own minimum and maximum become -1 and 1; but if no image of the *batch* has a
    negative value, they are taken for images on [0, 1].
    """
    if bool((x >= 0).all()):
        return 2 * x - 1
    # By index: of several extreme pixels one alone gets the gradient, where amin would share it.
    low, high = (
        extreme.values[:, None, None, None]
        for extreme in (x.flatten(1).min(dim=1), x.flatten(1).max(dim=1))
    )
    return 2 * (x - low) / (high - low) - 1


_PAPER = (
    "Sobieski et al., Rethinking Visual Counterfactual Explanations Through Region Constraint, "
    "ICLR 2025"
)
_MOVES = "moves, and as many backward passes"


def _entry(
    summary: str,
    where: str,
    factory: type[Inpainting] = RCSB,
    preset: str | None = None,
    **fixed: Any,
) -> Entry:
    return Entry(factory, summary, f"{_PAPER}, {where}", _MOVES, fixed, preset)


def _within(summary: str, where: str, region: str) -> Entry:
    """RCSB inside a region that is part of the id; else as C."""
    return Entry(RCSB, summary, f"{_PAPER}, {where}", _MOVES, preset="rcsb-c", region=region)


_RCSB_C = _entry("RCSB within 30 % of the image", "Table 1 (C)", preset="rcsb-c", area=0.3)

ENTRIES = {
    "rcsb-a": _entry("RCSB within 10 % of the image", "Table 1 (A)", SmallRCSB, area=0.1),
    "rcsb-b": _entry("RCSB within 20 % of the image", "Table 1 (B)", area=0.2),
    "rcsb-c": _RCSB_C,
    "rcsb": _RCSB_C,
    "rcsb-released": _entry(
        "RCSB as its code computes: stretched estimates, cells from quantiles",
        "authors' code",
        ReleasedRCSB,
    ),
    "rcsb-step-naive": Entry(
        RCSBNaive,
        "a bridge guided by the gradient at z itself",
        f"{_PAPER}, Figure 3 (1)",
        "moves",
        {"truncation": 1.0},
    ),
    "rcsb-step-tweedie": _entry(
        "guided through the clean estimate", "Figure 3 (2)", RCSBTweedie, truncation=1.0
    ),
    "rcsb-step-adam": _entry("… with Adam's moments", "Figure 3 (3)", RCSBAdam, truncation=1.0),
    "rcsb-step-adaptive-norm": _entry(
        "… in units of the first step's norm", "Figure 3 (4)", truncation=1.0
    ),
    "rcsb-step-truncation": _RCSB_C,
    "rcsb-freeform-10-20": _within("RCSB within random strokes", "Table 2 B", "free-form:10-20"),
    "rcsb-freeform-20-30": _within("RCSB within random strokes", "Table 2 B", "free-form:20-30"),
    "rcsb-truth": Entry(
        RCSB,
        "RCSB where the true counterfactual changes: an upper bound",
        "this package, after Sobieski et al., ICLR 2025",
        _MOVES,
        preset="rcsb-c",
        region="truth",
    ),
    "inpaint": Entry(
        Inpainting,
        "the bridge alone: the region is filled again, without guidance",
        "Liu et al., I²SB: Image-to-Image Schrödinger Bridge, ICML 2023",
        "moves",
    ),
}
