"""A worker that goes on when the device's memory runs out: it halves the rows of its batches."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from vcebench.errors import UserError
from vcebench.running.tries import Outcome, Try
from vcebench.running.worker import Worker

# What cuBLAS, cuDNN and the driver say where PyTorch has no exception class of its own.
_SIGNS = ("CUDA out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class HalvingWorker:
    """Explains batches of any size up to the worker's, in as many passes as memory asks for.

    After the memory ran out once, all batches are made of half as many rows, and so on. An image
    made in a smaller batch says so in its outcome: bits are promised for equal batch sizes only.

    Args:
        worker: what explains a batch.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.rows = worker.batch_size

    def explain(
        self,
        tries: Sequence[Try],
        stop: threading.Event | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Outcomes of at most a batch of tries, in their order.

        Args:
            tries: 1 … batch_size tries.
            stop: once set, the batch is given up with `CancelledError`.
            on_step: called after every step with the number of images in it.

        Raises:
            UserError: not even one row fits.
        """
        outcomes: list[Outcome] = []
        while len(outcomes) < len(tries):
            rows = self.rows
            part = tries[len(outcomes) : len(outcomes) + rows]
            found = self._attempt(part, rows, stop, on_step)
            if found is None:
                self._halve(rows)
            else:
                outcomes += found
        return outcomes

    def _attempt(
        self,
        tries: Sequence[Try],
        rows: int,
        stop: threading.Event | None,
        on_step: Callable[[int], None] | None,
    ) -> list[Outcome] | None:
        """The outcomes, or None if memory ran out; then nothing of the attempt is alive any more.

        The exception's traceback holds on to the tensors of the batch, so it must not be kept.
        """
        step = None if on_step is None else lambda: on_step(len(tries))
        full = self._worker.batch_size
        try:
            found = replace(self._worker, batch_size=rows).explain(tries, stop, step)
        except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        if rows == full:
            return found
        return [replace(outcome, batch_size=rows) for outcome in found]

    def _halve(self, rows: int) -> None:
        if self._worker.recorder is not None:
            self._worker.recorder.forget()
        gc.collect()
        if self._worker.device.type == "cuda":
            torch.cuda.empty_cache()
        if rows == 1:
            raise UserError(
                "the device's memory does not hold one image; use --precision bf16 (if the method "
                "takes it), a device with more memory, or --device cpu"
            )
        self.rows = min(self.rows, rows // 2)
        print(f"out of memory: going on with batches of {self.rows}", file=sys.stderr)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device has no memory left."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
