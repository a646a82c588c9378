"""Batches on all GPUs of this machine: each one process, one model copy, one batch at a time.

Whoever is free gets the next batch. Processes build their networks from the configuration and see
one GPU each; rows and images are those of one process.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from vcebench.errors import UserError
from vcebench.running.engines.base import Done, UnderWay, first_ended
from vcebench.running.engines.remote import RemoteWorker
from vcebench.running.tries import Outcome, Try
from vcebench.settings.config import RunConfig

Answer = tuple[list[Outcome], tuple[float, str]]


class ProcessEngine:
    """Hands batches to processes of this machine.

    Args:
        config: of the run; every process builds its networks from it.
        count: of processes; on CUDA the n-th works on the n-th GPU.
    """

    def __init__(self, config: RunConfig, count: int) -> None:
        spawning = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        places = spawning.SimpleQueue()
        for place in range(count):
            places.put(place)
        self._slots = count
        self._stop = spawning.Event()
        given = (config, places, self._stop)
        self._pool = ProcessPoolExecutor(count, spawning, _begin, given)
        self._running: UnderWay[Future[Answer]] = UnderWay()
        self._peak = (0.0, "")

    @property
    def free(self) -> bool:
        """See `Engine.free`."""
        return len(self._running) < self._slots

    @property
    def busy(self) -> bool:
        """See `Engine.busy`."""
        return len(self._running) > 0

    def submit(self, tries: Sequence[Try]) -> None:
        """See `Engine.submit`."""
        self._running.add(self._pool.submit(_explain, tries), tries)

    def collect(self) -> Done:
        """See `Engine.collect`. Raises what the batch raised, or `UserError` if a process died."""
        future = first_ended(self._running.keys)
        tries, seconds = self._running.pop(future)
        try:
            outcomes, peak = future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process died while it made a batch (often for lack of memory); "
                "the same command continues"
            ) from None
        self._peak = max(self._peak, peak)
        return Done(tries, outcomes, seconds)

    def peak_memory(self) -> tuple[float, str]:
        """See `Engine.peak_memory`; the largest of a process."""
        return self._peak

    def close(self) -> None:
        """See `Engine.close`; batches stop at their next step."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


# What a process holds between its batches.
_worker: RemoteWorker
_stop: Any


def _begin(config: RunConfig, places: Any, stop: Any) -> None:
    """What a process does first; ending it is up to the one that started it."""
    global _worker, _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place = places.get()
    if config.device == "cuda":
        torch.cuda.set_device(place)
    _worker, _stop = RemoteWorker(config), stop
    _worker.ready()


def _explain(tries: Sequence[Try]) -> Answer:
    return _worker.explain(tries, _stop)
