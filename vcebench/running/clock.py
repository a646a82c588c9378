"""Clocks around networks: where the time of a run goes, without a clock inside the sampler.

A network is wrapped; its forward pass is timed by the wrapper, its backward pass between two
identities in the autograd graph, one behind its output and one before its input.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Clock:
    """Seconds by phase. A phase inside another one stops the outer's clock while it lasts.

    Every thread has phases of its own; seconds of all threads are summed. On a GPU all work counts
    as one thread's (autograd has a thread of its own there), and every change of phase waits until
    the device has done what it was given.

    Attributes:
        seconds: phase → seconds so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device
        self._lock = threading.Lock()
        self._local = threading.local()
        self._shared: list[tuple[str, float]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside; phases left open by an exception end with this one."""
        depth = len(self._stack())
        self.enter(name)
        try:
            yield
        finally:
            while len(self._stack()) > depth:
                self.leave()

    def enter(self, name: str) -> None:
        """Begin a phase inside the current one."""
        now, stack = self._now(), self._stack()
        if stack:
            self._add(stack[-1], now)
        stack.append((name, now))

    def leave(self) -> None:
        """End the current phase; the one around it goes on."""
        now, stack = self._now(), self._stack()
        self._add(stack.pop(), now)
        if stack:
            stack[-1] = (stack[-1][0], now)

    def _add(self, phase: tuple[str, float], now: float) -> None:
        name, since = phase
        with self._lock:
            self.seconds[name] += now - since

    def _stack(self) -> list[tuple[str, float]]:
        if self._device.type == "cuda":
            return self._shared
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        stack: list[tuple[str, float]] = self._local.stack
        return stack

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


class _Enter(torch.autograd.Function):
    """Identity; its backward begins a phase."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, clock: Clock, phase: str) -> Tensor:
        ctx.clock, ctx.phase = clock, phase
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        ctx.clock.enter(ctx.phase)
        return gradient, None, None


class _Leave(torch.autograd.Function):
    """Identity; its backward ends the phase."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, clock: Clock) -> Tensor:
        ctx.clock = clock
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.clock.leave()
        return gradient, None


class TimedNetwork(nn.Module):
    """A network whose forward and backward passes are a phase of a clock; values are untouched."""

    def __init__(self, network: nn.Module, clock: Clock, phase: str) -> None:
        super().__init__()
        self.network = network
        self._clock = clock
        self._phase = phase

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        differentiated = torch.is_grad_enabled() and x.requires_grad
        with self._clock.phase(self._phase):
            at: Tensor = _Leave.apply(x, self._clock) if differentiated else x
            out: Tensor = self.network(at, *rest)
        if not differentiated:
            return out
        timed: Tensor = _Enter.apply(out, self._clock, self._phase)
        return timed
