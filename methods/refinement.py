"""The second half of ACE: what an attack left alone is put back, the rest is noised and denoised.

Reference: Adversarial Counterfactual Visual Explanations (Jeanneret et al., CVPR 2023), and the
program released with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vcebench.methods.core.masks import blend
from vcebench.methods.core.method import Trace
from vcebench.methods.core.sampler import State
from vcebench.methods.dime import DiMEUnconditional


@dataclass(frozen=True)
class Refinement(DiMEUnconditional):
    """The unguided reverse process from a draft inside the region, the noised input outside.

    Attributes:
        draft: images in [0, 1] with shape (B, C, H, W).
    """

    draft: Tensor | None = None

    def start(self) -> int:
        return self.tau - 1

    def begin(self, state: State) -> Tensor:
        assert self.draft is not None
        noised = state.prior.schedule.q_sample(
            2 * self.draft - 1, self.start(), state.draw("start")
        )
        if state.region is None:
            return noised
        noise = state.noise.draw("outside", -1, 0, state.pass_index)
        return blend(
            state.region, noised, state.prior.schedule.q_sample(state.x, self.start(), noise)
        )

    def outside(self, state: State) -> Tensor:
        return state.noised_input(state.i - 1)


@dataclass(frozen=True)
class Onwards:
    """A trace whose steps are numbered on from another walk's."""

    trace: Trace
    first: int

    @property
    def keeps(self) -> bool:
        """See `Trace`."""
        return self.trace.keeps

    def record(
        self,
        step: int,
        i: int,
        z: Tensor,
        x_t: Tensor,
        mask_z: Tensor | None,
        mask_x: Tensor | None,
    ) -> None:
        """See `Trace.record`."""
        self.trace.record(self.first + step, i, z, x_t, mask_z, mask_x)
