"""Where a batch is heard of at every step of its walk: traces, progress, and being stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError

import torch
from torch import Tensor


class StepHook:
    """Trace of some rows of a batch; also where a batch reports progress and can be stopped."""

    def __init__(
        self,
        rows: Sequence[int],
        stop: threading.Event | None,
        on_step: Callable[[], None] | None,
    ) -> None:
        self._rows = list(rows)
        self._stop = stop
        self._on_step = on_step
        self._steps: list[dict[str, Tensor]] = []

    @property
    def keeps(self) -> bool:
        """Some rows are traced."""
        return bool(self._rows)

    def record(
        self,
        step: int,
        i: int,
        z: Tensor,
        x_t: Tensor,
        mask_z: Tensor | None,
        mask_x: Tensor | None,
    ) -> None:
        """See `vcebench.methods.core.method.Trace`.

        Raises CancelledError: the batch is given up because the run is being stopped.
        """
        if self._stop is not None and self._stop.is_set():
            raise CancelledError
        if self._on_step is not None:
            self._on_step()
        if not self._rows:
            return
        everywhere = torch.ones_like(x_t[:, :1], dtype=torch.bool)
        self._steps.append(
            {
                "index": torch.full((len(x_t),), i),
                # A code or latent is no picture: what is made of it takes its place.
                "z": (z if z.shape == x_t.shape else x_t).cpu().clone(),
                "x_t": x_t.cpu().clone(),
                "mask_z": (everywhere if mask_z is None else mask_z).cpu().clone(),
                "mask_x": (everywhere if mask_x is None else mask_x).cpu().clone(),
            }
        )

    def of(self, row: int) -> dict[str, Tensor]:
        """The trace of one row: name → (steps, …); empty if the row is not traced."""
        if row not in self._rows or not self._steps:
            return {}
        return {
            name: torch.stack([step[name][row] for step in self._steps]).contiguous()
            for name in self._steps[0]
        }
