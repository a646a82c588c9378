"""SVCE: the target's probability is raised inside an ℓ1.5 ball of the image, without a prior.

Sparse Visual Counterfactual Explanations in Image Space (Boreiko et al., GCPR 2022), as released
with DVCE: adaptive Frank–Wolfe steps. It explains the very classifier it ascends on; only a robust
one shows pictures, on any other this is an attack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vcebench.methods.core.descent import Descending, Descent
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.method import setting

SHRINK, ENOUGH = 0.75, 0.75
"""Factor on the step length at a checkpoint, and share of improving iterations that spares it."""


@dataclass(frozen=True)
class SVCE(Descending):
    """*SVCE*: v = x + argmax⟨∇ log p(target), δ⟩ over the ball, x_k ← x_k + α/(√i + 2)·(v - x_k).

    The best point visited is returned. At checkpoints the step shrinks where too few iterations
    improved, and the point goes back to the best one (as auto-PGD: Croce & Hein, ICML 2020,
    Section 3). One pass more than iterations: the last only keeps books. No evaluation of a prior.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    weights: ClassVar[frozenset[str]] = frozenset()

    epsilon: float = setting(150.0, "radius: p-norm of the change on [0, 1]", above=0.0)
    iterations: int = setting(75, "Frank–Wolfe steps", low=1)
    p: float = setting(1.5, "power of the norm, above 1", above=1.0)

    @property
    def passes(self) -> int:
        return self.iterations + 1

    def evaluations(self) -> tuple[int, int]:
        return 0, 0

    def begin(self, state: Descent) -> Tensor:
        """The farthest point of the ball in a random direction, on [0, 1]."""
        x = state.x_unit
        first = (x + self.farthest(x, state.noise.draw("start", 0))).clamp(0, 1)
        state.memory = Books(len(x), self.iterations, x.device)
        return first

    def generate(self, state: Descent, v: Tensor) -> Tensor:
        return 2 * v - 1

    def loss(self, state: Descent, images: Tensor) -> Tensor:
        return -state.guidance.log_prob(images)

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        books: Books = state.memory
        v, direction = books.enter(state.step - 1, state.v, -gradient, -state.losses)
        if state.step == self.iterations:
            return v
        x = state.x_unit
        vertex = x + self.farthest(x, direction)
        moved = direction.flatten(1).any(dim=1).view(-1, 1, 1, 1)
        vertex = torch.where(moved, vertex, v)  # without a gradient there is nowhere to go
        length: Tensor = books.alpha / (state.step**0.5 + 2)
        return v + length.view(-1, 1, 1, 1) * (vertex - v)

    def finish(self, state: Descent) -> Tensor:
        books: Books = state.memory
        return 2 * books.best_v - 1

    def farthest(self, x: Tensor, direction: Tensor) -> Tensor:
        """See `farthest`."""
        return farthest(x, direction, self.epsilon, self.p)


class Books:
    """What the walk remembers of every image: its best point, and whether steps still improve.

    Args:
        count: images.
        iterations: steps that will be made.
    """

    best_v: Tensor
    best_direction: Tensor

    def __init__(self, count: int, iterations: int, device: torch.device) -> None:
        self.alpha = torch.full((count,), 2.0, device=device)
        self.history = torch.zeros(iterations, count, device=device)
        self.best = torch.full((count,), -torch.inf, device=device)
        self.best_before = self.best
        self.reduced = torch.ones(count, dtype=torch.bool, device=device)
        self.interval = max(int(0.22 * iterations), 1)
        self.shorten = max(int(0.03 * iterations), 1)
        self.shortest = max(int(0.06 * iterations), 1)
        self.since = 0

    def enter(
        self, iteration: int, v: Tensor, direction: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Note a point, its gradient and log p; returns the point and gradient to go on from.

        iteration: the one that led here; -1 for the start.
        """
        better = value > self.best
        if iteration < 0:
            self.best_v, self.best_direction = v, direction
            self.best = self.best_before = value
            return v, direction
        self.history[iteration] = value
        self.best = torch.where(better, value, self.best)
        rows = better.view(-1, *[1] * (v.ndim - 1))
        self.best_v = torch.where(rows, v, self.best_v)
        self.best_direction = torch.where(rows, direction, self.best_direction)
        self.since += 1
        if self.since < self.interval:
            return v, direction
        back = self._check(iteration).view(-1, *[1] * (v.ndim - 1))
        return torch.where(back, self.best_v, v), torch.where(back, self.best_direction, direction)

    def _check(self, iteration: int) -> Tensor:
        """Shrink steps at a checkpoint; returns which images go back to their best point."""
        last = torch.arange(iteration, iteration - self.interval, -1)
        # The entry before the first is the last one, which is still zero: as released.
        improved = (self.history[last] > self.history[last - 1]).sum(dim=0)
        stuck = ~self.reduced & (self.best_before >= self.best)
        self.reduced = (improved <= ENOUGH * self.interval) | stuck
        self.best_before = self.best
        self.alpha = torch.where(self.reduced, SHRINK * self.alpha, self.alpha)
        self.interval = max(self.interval - self.shorten, self.shortest)
        self.since = 0
        return self.reduced


def farthest(x: Tensor, direction: Tensor, radius: float, p: float) -> Tensor:
    """argmax of ⟨direction, δ⟩ with ‖δ‖_p ≤ radius and x + δ in [0, 1], one δ for each image.

    With q = p/(p - 1) and γ the room that a value has, δ = min(γ, (|w|/μ)^(q-1))·sign(w) with the μ
    that makes ‖δ‖_p the radius, or γ·sign(w) where the ball has room for all of it. Values fill
    their room in the order of |w|/γ^(p-1), so μ follows from sorting.

    Args:
        x: images on [0, 1], (B, C, H, W).
        direction: w, alike; where it is zero, δ is.
    """
    w = direction.flatten(1).double()
    flat = x.flatten(1).double()
    room = torch.where(w > 0, 1 - flat, torch.where(w < 0, flat, 0.0)).clamp_min(0)
    # The scale of w has no influence; this one keeps its powers in range.
    size = w.abs() / w.abs().amax(dim=1, keepdim=True).clamp_min(1e-300)
    filled, q = room**p, p / (p - 1)
    full_below = torch.where(room > 0, size / room ** (p - 1), torch.inf)
    order = full_below.argsort(dim=1, descending=True)
    threshold = full_below.gather(1, order)
    taken = filled.gather(1, order).cumsum(dim=1)
    power = (size**q).gather(1, order)
    open_ = power.flip(1).cumsum(dim=1).flip(1) - power
    budget = radius**p
    # The p-norm, to the power p, if μ were the threshold of each value in turn: it grows.
    needed = taken + torch.where(threshold.isinf(), 0.0, open_ / threshold**q)
    count = (needed <= budget).sum(dim=1, keepdim=True)
    none = torch.zeros_like(taken[:, :1])
    before = (count - 1).clamp_min(0)
    used = torch.where(count > 0, taken.gather(1, before), none)
    rest = torch.where(count > 0, open_.gather(1, before), power.sum(dim=1, keepdim=True))
    mu = (rest / (budget - used).clamp_min(1e-300)) ** (1 / q)
    delta = torch.minimum(room, (size / mu.clamp_min(1e-300)) ** (q - 1))
    whole = filled.sum(dim=1, keepdim=True) <= budget
    chosen = torch.where(whole, room, delta) * w.sign()
    return chosen.to(x.dtype).view_as(x)


_PAPER = "Boreiko et al., Sparse Visual Counterfactual Explanations in Image Space, GCPR 2022"

ENTRIES = {
    "svce": Entry(
        SVCE,
        "Frank-Wolfe steps in an l1.5 ball: explains a robust classifier, attacks any other",
        f"{_PAPER}, as released with DVCE",
        "0",
    ),
}
