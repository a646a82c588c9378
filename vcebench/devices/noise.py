"""Noise drawn by threads before it is asked for, so that a GPU does not wait for a CPU.

Noise depends on its key alone, never on what is computed, so the next draw can be made while the
device works on this step. The numbers are those of `KeyedNoise`, bit by bit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from vcebench.methods.core.noise import KeyedNoise, Noise

MOST_THREADS = 8
"""Above that, Python's part of a draw (keys, generators) leaves no more to gain."""


@contextmanager
def drawn_ahead(noise: KeyedNoise) -> Iterator[Noise]:
    """The noise, drawn ahead where the device is not the CPU that draws it."""
    if torch.device(noise.device).type == "cpu":
        yield noise
        return
    ahead = NoiseAhead(noise, min(MOST_THREADS, max(1, (os.cpu_count() or 2) - 1)))
    try:
        yield ahead
    finally:
        ahead.close()


@dataclass(frozen=True)
class _Key:
    step: int
    inner_step: int
    pass_index: int
    shape: tuple[int, ...] | None

    def next(self, before: _Key | None) -> _Key:
        """What is most likely asked for after this: the next step, or that of a nested chain."""
        nested = before is not None and before.step == self.step
        if nested or self.inner_step > 0:
            return _Key(self.step, self.inner_step + 1, self.pass_index, self.shape)
        return _Key(self.step + 1, 0, self.pass_index, self.shape)


@dataclass(frozen=True)
class _Draw:
    """A draw under way: its key, where the numbers go, and who makes them."""

    key: _Key
    numbers: Tensor
    parts: Sequence[Future[None]]


class NoiseAhead:
    """See `vcebench.methods.core.noise.Noise`; a wrong guess about the next draw costs time only.

    Args:
        noise: what is drawn, and for which device.
        threads: that share a draw.
    """

    def __init__(self, noise: KeyedNoise, threads: int) -> None:
        self._noise = noise
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "vcebench-noise")
        self._coming: dict[str, _Draw] = {}
        self._before: dict[str, _Key] = {}
        self._pinned = torch.device(noise.device).type == "cuda"

    def draw(
        self,
        purpose: str,
        step: int,
        inner_step: int = 0,
        pass_index: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """See `Noise.draw`."""
        key = _Key(step, inner_step, pass_index, shape)
        drawn = self._coming.pop(purpose, None)
        if drawn is None or drawn.key != key:
            if drawn is not None:
                for part in drawn.parts:
                    part.cancel()
            drawn = self._start(purpose, key)
        self._coming[purpose] = self._start(purpose, key.next(self._before.get(purpose)))
        self._before[purpose] = key
        for part in drawn.parts:
            part.result()
        # From pinned memory, which PyTorch does not use again before the copy is done.
        return drawn.numbers.to(self._noise.device, non_blocking=self._pinned)

    def close(self) -> None:
        """Give up what nobody asked for."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, purpose: str, key: _Key) -> _Draw:
        rows = len(self._noise.image_ids)
        shape = (rows, *(key.shape or self._noise.shape))
        numbers = torch.empty(shape, dtype=torch.float32, pin_memory=self._pinned)

        def fill(first: int) -> None:
            for row in range(first, rows, self._threads):
                self._noise.fill(
                    numbers[row].numpy(), row, purpose, key.step, key.inner_step, key.pass_index
                )

        parts = [self._pool.submit(fill, first) for first in range(min(rows, self._threads))]
        return _Draw(key, numbers, parts)
