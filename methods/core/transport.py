"""The transport: a state is carried along the chain without guidance, there or back.

A move leads from one index of the chain to another with the noise that a condition sees; what is
done to several copies of an image at once is the coupling's. Up and down are the same walk with its
moves reversed and its coupling inverted.

References: Denoising Diffusion Implicit Models (Song et al., ICLR 2021), Section 4.3; EDICT: Exact
Diffusion Inversion via Coupled Transformations (Wallace et al., CVPR 2023), Section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vcebench.methods.core.method import Trace
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import Schedule

State = tuple[Tensor, ...]
"""Noisy images, one tensor (B, C, H, W) or a coupling's several."""
Moves = Sequence[tuple[int, int]]
"""(i, to): from an index to another, -1 the clean end; inverted, from `to` to i."""
Epsilon = Callable[[Tensor, int], Tensor]
"""The noise seen in z at index i, a method's combination of `Prior.noises`."""


class Coupling(Protocol):
    """One move of a state."""

    def __call__(
        self, schedule: Schedule, state: State, i: int, to: int, epsilon: Epsilon
    ) -> State:
        """The state after the move."""
        ...


@dataclass(frozen=True)
class Plain:
    """One copy, by DDIM without noise."""

    def __call__(
        self, schedule: Schedule, state: State, i: int, to: int, epsilon: Epsilon
    ) -> State:
        (z,) = state
        return (schedule.ddim(z, epsilon(z, i), i, to),)


@dataclass(frozen=True)
class Edict:
    """Two copies, each moved with the noise that is seen in the other, then mixed.

    So a move can be undone exactly.

    Attributes:
        p: share that a copy keeps of itself when they are mixed, in (0, 1].
    """

    p: float

    def __call__(
        self, schedule: Schedule, state: State, i: int, to: int, epsilon: Epsilon
    ) -> State:
        x, y = state
        x = schedule.ddim(x, epsilon(y, i), i, to)
        y = schedule.ddim(y, epsilon(x, i), i, to)
        x = self.p * x + (1 - self.p) * y
        y = self.p * y + (1 - self.p) * x
        return x, y

    @property
    def inverse(self) -> Coupling:
        """What undoes the move from i to `to`."""
        return _EdictInverse(self.p)


@dataclass(frozen=True)
class _EdictInverse:
    p: float

    def __call__(
        self, schedule: Schedule, state: State, i: int, to: int, epsilon: Epsilon
    ) -> State:
        x, y = state
        y = (y - (1 - self.p) * x) / self.p
        x = (x - (1 - self.p) * y) / self.p
        y = schedule.ddim(y, epsilon(x, i), to, i)
        x = schedule.ddim(x, epsilon(y, i), to, i)
        return x, y


def transport(
    prior: Prior,
    state: State,
    moves: Moves,
    epsilon: Epsilon,
    coupling: Coupling,
    after: Callable[[State, int], State] | None = None,
    trace: Trace | None = None,
    first: int = 0,
) -> State:
    """Carry a state along moves.

    Args:
        prior: whose chain and space it is in.
        state: where it begins.
        moves: what to go along, in this order.
        epsilon: see `Epsilon`; it counts its evaluations.
        coupling: how a move is made.
        after: what is done to the state after the move at index i.
        trace: told of every move; pictures are those of the state's first copy.
        first: number of the first move, where another walk was before.
    """
    for n, (i, to) in enumerate(moves):
        if trace is not None:
            z = state[0]
            trace.record(first + n, i, z, _picture(prior, z, trace), None, None)
        state = coupling(prior.schedule, state, i, to, epsilon)
        if after is not None:
            state = after(state, i)
    return state


@torch.no_grad()
def _picture(prior: Prior, z: Tensor, trace: Trace) -> Tensor:
    """What z decodes to, for traces that look at it."""
    return prior.space.decode(z) if trace.keeps else z
