"""DVCE: unit gradients through the prior, the class one on a cone of two classifiers.

Diffusion Visual Counterfactual Explanations (Augustin et al., NeurIPS 2022), as its authors
released it. Every gradient is scaled to the length of the noise that the prior predicts, so neither
the weights of the joint loss nor the guidance unit of a classifier have a meaning here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vcebench.methods.core.directions import angle, matched, on_cone, unit
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import TargetClassifier
from vcebench.methods.core.method import setting
from vcebench.methods.core.prior import Posterior
from vcebench.methods.core.sampler import Gradient, Guided, State
from vcebench.methods.core.views import Grids, draw_grids, see

SMOOTH = 1e-12
"""Added to differences whose power p < 1 has no slope at zero."""


@dataclass(frozen=True)
class DVCENoCone(Guided):
    """*DVCE with one classifier*: g = ‖ε̂‖·(C_c·G/‖G‖ - C_d·D/‖D‖), z ← mean + Σ·g + σ·noise.

    G and D are gradients with respect to z, through the prior, of log p(target) and of the distance
    Σ|x̂0 - x|^p, both at the unclipped one-step estimate x̂0. The result is the last x̂0, on which
    the last gradient has no influence. τ evaluations of the prior, 2τ backward passes.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"prior"})
    weights: ClassVar[frozenset[str]] = frozenset()
    through_prior: ClassVar[bool] = True
    clip_estimate: ClassVar[bool] = False

    tau: int = setting(
        100, "steps of the reverse loop; the input is noised to the index of the first", low=1
    )
    class_scale: float = setting(0.1, "C_c: length of the class gradient in ‖ε̂‖", low=0.0)
    distance_scale: float = setting(0.15, "C_d: length of the distance gradient in ‖ε̂‖", low=0.0)
    p: float = setting(1.0, "power of the distance", above=0.0)
    distance_through_prior: bool = setting(
        True, "take the distance gradient through the prior, not at the estimate"
    )
    views: int = setting(1, "views of the estimate that a classifier is asked about", low=1)
    view_size: int = setting(0, "side that views are pooled to; 0 leaves them as they are", low=0)

    def start(self) -> int:
        return self.tau - 1

    def evaluations(self) -> tuple[int, int]:
        return self.tau, self.tau * (self.classifiers + self.distance_through_prior)

    @property
    def classifiers(self) -> int:
        """Classifiers whose gradients are taken through the prior."""
        return 1

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        return posterior.x0

    def gradient(self, state: State) -> Gradient:
        noise = state.posterior.noise
        class_ = self.direction(state)
        closer = matched(self.distance_gradient(state), noise)
        total = self.distance_scale * closer - self.class_scale * matched(class_, noise)
        return Gradient(total, class_)

    def direction(self, state: State) -> Tensor:
        """Where the class is, with respect to z."""
        return self.towards(state, state.guidance.weights.classifier, 0)

    def towards(self, state: State, classifier: TargetClassifier, which: int) -> Tensor:
        """∇_z log p(target) of a classifier, through the prior, averaged over views.

        which: number of the classifier, for the views that it sees.
        """
        grids = self.grids(state, which) if self.views > 1 else None

        def look(x: Tensor) -> Tensor:
            return see(x, self.views, self.view_size, grids)

        return state.pull_back(state.guidance.log_prob_gradient(state.x_t, classifier, look))

    def grids(self, state: State, which: int) -> Grids:
        """Warps of this step's views."""
        channels, height, width = state.x.shape[1:]
        shape = (channels, self.view_size or height, self.view_size or width)
        return draw_grids(state.noise, state.step, which, self.views, shape)

    def distance_gradient(self, state: State) -> Tensor:
        """∇_z of Σ|x̂0 - x|^p."""
        difference = state.x_t.detach() - state.x
        size = difference.abs() + (SMOOTH if self.p < 1 else 0.0)
        gradient = self.p * size ** (self.p - 1) * difference.sign()
        return state.pull_back(gradient) if self.distance_through_prior else gradient

    def advance(self, state: State, posterior: Posterior) -> Tensor:
        return posterior.x0

    def finish(self, state: State) -> Tensor:
        return state.x_t


@dataclass(frozen=True)
class DVCE(DVCENoCone):
    """*DVCE*: the class gradient is a robust classifier's, moved onto a cone.

    The cone's axis is the gradient of the classifier that is explained; a robust gradient outside
    is moved to the cone's boundary, and where it is inside the released code takes the axis. τ
    evaluations of the prior, 3τ backward passes.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"prior", "robust"})

    angle: float = setting(30.0, "half of the cone's opening in degrees", low=0.0, high=89.0)

    @property
    def classifiers(self) -> int:
        return 2

    def direction(self, state: State) -> Tensor:
        weights = state.guidance.weights
        if weights.robust is None:
            raise MethodError(
                "dvce needs an adversarially robust classifier, and there is none; give one as "
                "`robust`, or use dvce-no-cone"
            )
        robust = self.towards(state, weights.robust, 0)
        explained = self.towards(state, weights.classifier, 1)
        outside = torch.rad2deg(angle(robust, explained)) > self.angle
        moved = on_cone(robust, explained, self.angle)
        return torch.where(outside, moved, self.inside(robust, explained))

    def inside(self, robust: Tensor, explained: Tensor) -> Tensor:
        """The direction where the robust gradient lies within the cone."""
        return unit(explained)


@dataclass(frozen=True)
class DVCEConeProjection(DVCE):
    """*DVCE, projected*: inside the cone the robust gradient stays, as a projection leaves it."""

    def inside(self, robust: Tensor, explained: Tensor) -> Tensor:
        return unit(robust)


_PAPER = "Augustin et al., Diffusion Visual Counterfactual Explanations, NeurIPS 2022"

ENTRIES = {
    "dvce": Entry(
        DVCE,
        "unit gradients through the prior; a robust classifier's, on a cone around the explained's",
        f"{_PAPER}, as released",
        "τ, and 3τ backward passes",
    ),
    "dvce-no-cone": Entry(
        DVCENoCone,
        "DVCE guided by the explained classifier alone",
        f"{_PAPER}, as released without a cone",
        "τ, and 2τ backward passes",
    ),
    "dvce-cone-projection": Entry(
        DVCEConeProjection,
        "DVCE that keeps a robust gradient inside the cone as it is",
        f"{_PAPER}; what the cone's projection says, where the release takes its axis",
        "τ, and 3τ backward passes",
    ),
    "dvce-distance-direct": Entry(
        DVCE,
        "DVCE with the distance gradient at the estimate, not through the prior",
        f"{_PAPER}, default of the released program",
        "τ, and 2τ backward passes",
        {"distance_through_prior": False},
    ),
}
