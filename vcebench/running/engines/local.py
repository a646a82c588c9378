"""Batches on this machine: on its GPUs, or on CPU threads that each take a batch of their own.

Why not all threads on one batch: with more than one thread inside an operator, PyTorch's CPU
kernels cut the rows of a batch at places that depend on batch size and thread count. Measured with
2.14 and two threads: fully connected layers (MKL) at odd batch sizes, and group norm of
channels-last tensors, give a row other last bits at another position. With one thread inside an
operator they do not. So a batch stays on one thread, and an image is the same bits at any position
and for any number of threads; small batches are also the faster ones on a CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from vcebench.models.memory import give_back_memory, keep_freed_memory
from vcebench.running import cost
from vcebench.running.engines.base import Done, Engine, UnderWay, first_ended
from vcebench.running.engines.processes import ProcessEngine
from vcebench.running.halving import HalvingWorker
from vcebench.running.tries import Outcome, Try
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig


@dataclass(frozen=True)
class Local:
    """Launches a `LocalEngine`; where there are several GPUs, a process for each of them.

    threads: batches at a time on a CPU (default: all).
    """

    threads: int | None = None

    def __call__(self, config: RunConfig, worker: Worker, on_step: Callable[[int], None]) -> Engine:
        """See `Launcher`; with several GPUs progress moves with every batch."""
        if worker.device.type == "cuda" and (count := torch.cuda.device_count()) > 1:
            return ProcessEngine(config, count)
        cost.reset_peak_memory(worker.device)
        return LocalEngine(worker, self.threads, on_step)

    def __str__(self) -> str:
        return "local"


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
        self._worker = HalvingWorker(worker)
        self._device = worker.device
        self._on_step = on_step
        self._stop = threading.Event()
        self._threads_before = torch.get_num_threads()
        on_cpu = worker.device.type == "cpu"
        self._slots = (threads or self._threads_before) if on_cpu else 1
        if on_cpu:
            keep_freed_memory()
            torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(self._slots, "vcebench")
        self._running: UnderWay[Future[list[Outcome]]] = UnderWay()

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
        future = self._pool.submit(self._worker.explain, tries, self._stop, self._on_step)
        self._running.add(future, tries)

    def collect(self) -> Done:
        """See `Engine.collect`. Raises what the batch raised."""
        future = first_ended(self._running.keys)
        tries, seconds = self._running.pop(future)
        return Done(tries, future.result(), seconds)

    def peak_memory(self) -> tuple[float, str]:
        """See `Engine.peak_memory`."""
        return cost.peak_memory(self._device)

    def close(self) -> None:
        """See `Engine.close`; batches stop at their next step."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(self._threads_before)
        give_back_memory()
