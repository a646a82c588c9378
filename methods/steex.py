"""STEEX: descent among the codes of a picture's regions, whose layout stays.

A semantic autoencoder has one code for each region of a map; only codes move, so that things change
their look and never their place or outline.

Reference: STEEX: Steering Counterfactual Explanations with Semantics (Jacob et al., ECCV 2022), and
the program released with it. Different from the program: the class loss is softplus of the margin,
which does not overflow, and nothing in the generator is drawn anew in every pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.methods.core.adam import Moments
from vcebench.methods.core.descent import Descending, Descent
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError, unknown
from vcebench.methods.core.method import setting
from vcebench.methods.core.space import SemanticAutoencoder


@dataclass
class Styles:
    """What a walk among regions' codes keeps.

    Attributes:
        start: codes of the input, with shape (B, R, c).
        mask: 1 where a region's code may move, (R, 1).
        moments: Adam's, of the codes.
        codes: of the last pass, (B, R, c).
    """

    start: Tensor
    mask: Tensor
    moments: Moments
    codes: Tensor


@dataclass(frozen=True)
class STEEX(Descending):
    """L = softplus(-margin) + λ·Σ_r ‖z_r - z⁰_r‖², by Adam, all passes; z⁰ are the input's codes.

    The counterfactual is the picture of the last pass, before its step. Regions that the map does
    not have never move. Evaluations are the generator's.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"segments"})
    weights: ClassVar[frozenset[str]] = frozenset()

    iterations: int = setting(100, "passes", low=1)
    learning_rate: float = setting(0.01, "length of Adam's steps", above=0.0)
    proximity: float = setting(0.3, "λ, weight of the squared distance between codes", low=0.0)
    regions: str = setting("", "regions whose look may change, with commas; all if none is named")

    @property
    def passes(self) -> int:
        return self.iterations

    def evaluations(self) -> tuple[int, int]:
        return self.passes, self.passes

    def begin(self, state: Descent) -> Tensor:
        network, segments = _given(state)
        start = network.encode(state.x, segments)
        mask = self.movable(network.regions).to(start)
        state.memory = Styles(start, mask, Moments.zeros(start), start)
        return start

    def movable(self, known: Sequence[str]) -> Tensor:
        """1 for regions whose codes may move, else 0: (R, 1). Raises MethodError for a name."""
        named = [name for name in self.regions.split(",") if name]
        for name in named:
            if name not in known:
                raise unknown("region", name, known)
        return torch.tensor([[float(not named or name in named)] for name in known])

    def generate(self, state: Descent, v: Tensor) -> Tensor:
        network, segments = _given(state)
        memory: Styles = state.memory
        memory.codes = v
        state.nfe += 1
        state.backward += 1
        return network.decode(segments, v)

    def loss(self, state: Descent, images: Tensor) -> Tensor:
        memory: Styles = state.memory
        weights = state.guidance.weights
        margin = weights.classifier.margin(images, state.guidance.target, weights.source).float()
        moved = (memory.codes - memory.start).square().sum(dim=(1, 2))
        return F.softplus(-margin) + self.proximity * moved

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        memory: Styles = state.memory
        memory.moments = memory.moments.updated(gradient)
        return state.v - self.learning_rate * memory.moments.direction() * memory.mask

    def finish(self, state: Descent) -> Tensor:
        return state.images


def _given(state: Descent) -> tuple[SemanticAutoencoder, Tensor]:
    """The network and the maps, for a method that cannot do without."""
    network, segments = state.extras.autoencoder, state.extras.segments
    if not isinstance(network, SemanticAutoencoder) or segments is None:
        raise MethodError(
            "this method needs a semantic autoencoder and what is where in every image; it runs on "
            "rendered sets, or with autoencoder=… and segments=…"
        )
    return network, segments


ENTRIES = {
    "steex": Entry(
        STEEX,
        "the look of a picture's regions is moved, their layout stays",
        "Jacob et al., STEEX: Steering Counterfactual Explanations with Semantics, ECCV 2022, "
        "as released",
        "iterations, of the generator",
    ),
}
