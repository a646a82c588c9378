"""Batches on this machine: on one GPU, or on CPU threads that each take a batch of their own.

Why not all threads on one batch: with more than one thread inside an operator, PyTorch's CPU
kernels cut the rows of a batch at places that depend on batch size and thread count. Measured with
2.14 and two threads: fully connected layers (MKL) at odd batch sizes, and group norm of
channels-last tensors, give a row other last bits at another position. With one thread inside an
operator they do not. So a batch stays on one thread, and an image is the same bits at any position
and for any number of threads; small batches are also the faster ones on a CPU.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import torch

from vcebench.engines import Done
from vcebench.tries import Outcome, Try
from vcebench.worker import Worker


class LocalEngine:
    """Runs a worker on threads of this process.

    Args:
        worker: what explains a batch; shared by all threads.
        threads: batches under way at a time on a CPU (default: as many as PyTorch would use
            threads); on a GPU always one.
        on_step: called after every step of the reverse loop with the number of images in it.
    """

    def __init__(
        self,
        worker: Worker,
        threads: int | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> None:
        self._worker = worker
        self._on_step = on_step
        self._stop = threading.Event()
        self._threads_before = torch.get_num_threads()
        on_cpu = worker.device.type == "cpu"
        self._slots = (threads or self._threads_before) if on_cpu else 1
        if on_cpu:
            torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(self._slots, "vcebench")
        self._running: dict[Future[list[Outcome]], _Batch] = {}
        self._clock = time.perf_counter()

    @property
    def free(self) -> bool:
        """See `Engine.free`."""
        return len(self._running) < self._slots

    @property
    def busy(self) -> bool:
        """See `Engine.busy`."""
        return bool(self._running)

    def submit(self, tries: Sequence[Try]) -> None:
        """See `Engine.submit`."""
        self._charge()
        future = self._pool.submit(self._explain, tries)
        self._running[future] = _Batch(tries)

    def collect(self) -> Done:
        """See `Engine.collect`. Raises what the batch raised."""
        ready, _ = wait(self._running, return_when=FIRST_COMPLETED)
        self._charge()
        # In the order of submission, so that simultaneous ends do not shuffle anything.
        future = next(f for f in self._running if f in ready)
        batch = self._running.pop(future)
        return Done(batch.tries, future.result(), batch.seconds)

    def close(self) -> None:
        """See `Engine.close`; batches stop at their next step."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(self._threads_before)

    def _explain(self, tries: Sequence[Try]) -> list[Outcome]:
        step = self._on_step
        on_step = None if step is None else lambda: step(len(tries))
        return self._worker.explain(tries, self._stop, on_step)

    def _charge(self) -> None:
        """Share the wall time that passed among the batches that were under way."""
        now = time.perf_counter()
        for batch in self._running.values():
            batch.seconds += (now - self._clock) / len(self._running)
        self._clock = now


class _Batch:
    """A batch under way and the seconds charged to it."""

    def __init__(self, tries: Sequence[Try]) -> None:
        self.tries = tries
        self.seconds = 0.0
