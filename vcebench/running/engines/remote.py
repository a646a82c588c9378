"""A worker in a process of its own, whoever started it: Ray, or `engines.processes`."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch

from vcebench.running import cost
from vcebench.running.tries import Outcome, Try
from vcebench.settings.config import RunConfig


class RemoteWorker:
    """Builds its networks from the configuration, and explains one batch after the other."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._device = torch.device(config.device)
        self._flags = ExitStack()

    def ready(self) -> dict[str, Any]:
        """Load the networks; says where it runs and with which versions."""
        from vcebench.devices.flags import precision_flags
        from vcebench.models.memory import keep_freed_memory
        from vcebench.running.assemble import networks_of, worker_of
        from vcebench.running.halving import HalvingWorker

        config = self._config
        if config.device == "cpu":
            keep_freed_memory()
            torch.set_num_threads(1)
        self._flags.enter_context(precision_flags(config.precision))
        self._worker = HalvingWorker(worker_of(config, networks_of(config, metrics=False)))
        cost.reset_peak_memory(self._device)
        where = f"{os.uname().nodename} process {os.getpid()}"
        return {"versions": cost.versions(), "where": where}

    def explain(
        self, tries: Sequence[Try], stop: threading.Event | None = None
    ) -> tuple[list[Outcome], tuple[float, str]]:
        """Outcomes of a batch, and the peak memory so far.

        Args:
            tries: the batch.
            stop: once set, the batch is given up with `CancelledError`.
        """
        outcomes = self._worker.explain(tries, stop)
        return outcomes, cost.peak_memory(self._device)
