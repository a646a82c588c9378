"""Batches on the workers of a Ray cluster: each one process, one model copy, one batch at a time.

Whoever is free gets the next batch, so a slow machine holds nobody up. A worker that dies is
replaced, and its batch is handed out again. Workers build their networks from the configuration,
run one thread inside an operator as `engines.local` does, and so make the same bits.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from vcebench.errors import UserError, one_line
from vcebench.running import cost
from vcebench.running.engines.base import Done, UnderWay
from vcebench.running.engines.remote import RemoteWorker
from vcebench.running.tries import Try
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig, differences

ATTEMPTS = 3
"""Times a batch is handed out, and times in a row a worker may die before it is ready."""

_PASSED_ON = ("VCEBENCH_WEIGHTS", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Ray:
    """Launches a `RayEngine`.

    workers: number of workers (default: one for every GPU or CPU there is).
    address: of a running cluster, "auto" for the one of this machine; without it one is started
        here and ends with the run.
    """

    workers: int | None = None
    address: str | None = None

    def __call__(
        self, config: RunConfig, worker: Worker, on_step: Callable[[int], None]
    ) -> RayEngine:
        """See `Launcher`; progress moves with every batch."""
        return RayEngine(config, self.workers, self.address)

    def __str__(self) -> str:
        return f"ray, {self.workers or 'all'} workers, {self.address or 'this machine'}"


@dataclass
class _Batch:
    """Tries to hand out, how often they were, and the seconds charged so far."""

    tries: Sequence[Try]
    attempts: int = 0
    seconds: float = 0.0


@dataclass
class _Workers:
    """Workers that start and those that wait for a batch; those at work are with their batch."""

    starting: dict[Any, Any] = field(default_factory=dict)  # reference of `ready` → worker
    idle: deque[Any] = field(default_factory=deque)
    at_work: dict[Any, Any] = field(default_factory=dict)  # reference of `explain` → worker

    def all(self) -> list[Any]:
        return [*self.starting.values(), *self.idle, *self.at_work.values()]


class RayEngine:
    """Hands batches to Ray actors.

    Args:
        config: of the run; every worker builds its networks from it.
        workers: see `Ray`.
        address: see `Ray`.

    Raises:
        UserError: Ray is not installed, not reachable, or has not that many GPUs or CPUs.
    """

    def __init__(
        self, config: RunConfig, workers: int | None = None, address: str | None = None
    ) -> None:
        self._ray = import_ray()
        self._config = config
        self._cuda = config.device == "cuda"
        self._own = not self._ray.is_initialized()
        if self._own:
            self._connect(address, workers or _here(self._cuda))
        self._slots = self._slots_for(workers)
        self._workers = _Workers()
        self._waiting: deque[_Batch] = deque()
        self._handed: UnderWay[Any] = UnderWay()
        self._attempts: dict[Any, int] = {}
        self._failed_starts = 0
        self._peak = (0.0, "")
        self.processes: dict[Any, str] = {}
        """Worker → where it runs, "NODE process PID", of workers that have been ready."""
        for _ in range(self._slots):
            self._start()

    @property
    def free(self) -> bool:
        """See `Engine.free`."""
        return len(self._waiting) + len(self._handed) < self._slots

    @property
    def busy(self) -> bool:
        """See `Engine.busy`."""
        return bool(self._waiting) or len(self._handed) > 0

    def submit(self, tries: Sequence[Try]) -> None:
        """See `Engine.submit`."""
        self._waiting.append(_Batch(tries))
        self._hand_out()

    def collect(self) -> Done:
        """See `Engine.collect`. Raises what the batch raised, or `UserError` if workers keep dying.

        Meanwhile workers that become ready are given batches, and dead ones are replaced.
        """
        while True:
            events = [*self._workers.starting, *self._handed.keys]
            (event, *_), _ = self._ray.wait(events, num_returns=1)
            if event in self._workers.starting:
                self._started(event)
            elif (done := self._ended(event)) is not None:
                return done
            self._hand_out()

    def peak_memory(self) -> tuple[float, str]:
        """See `Engine.peak_memory`; the largest of a worker."""
        return self._peak

    def close(self) -> None:
        """See `Engine.close`."""
        for worker in self._workers.all():
            self._ray.kill(worker)
        if self._own:
            self._ray.shutdown()

    def _connect(self, address: str | None, workers: int) -> None:
        """Join a cluster, or start one on this machine; nothing is reported to anybody."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        options: dict[str, Any] = {
            "log_to_driver": False,
            "logging_level": "error",
            "runtime_env": {"env_vars": passed},
        }
        if address is None:
            count = {"num_gpus": workers} if self._cuda else {}
            options |= {"num_cpus": workers, "include_dashboard": False, **count}
        try:
            _reach(address)
            self._ray.init(address=address or "local", **options)
        except Exception as error:  # a cluster that does not come up in time raises a bare one
            self._ray.shutdown()
            raise UserError(
                f"no Ray cluster at {address or 'this machine'} ({one_line(error)[:300]}); "
                "`ray status` shows a running one, `--engine ray` without --address starts one"
            ) from error

    def _slots_for(self, workers: int | None) -> int:
        kind = "GPU" if self._cuda else "CPU"
        there = int(self._ray.cluster_resources().get(kind, 0))
        wanted = workers or there
        if wanted > there or there < 1:
            raise UserError(
                f"{max(1, wanted)} workers need as many {kind}s; the cluster has {there}"
            )
        return wanted

    def _start(self) -> None:
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
        if self._cuda:
            options |= {"num_gpus": 1}
        worker = self._ray.remote(RemoteWorker).options(**options).remote(self._config)
        self._workers.starting[worker.ready.remote()] = worker

    def _started(self, event: Any) -> None:
        """A worker is ready, or died before it was."""
        worker = self._workers.starting.pop(event)
        found = self._result(event)
        if found is None:
            self._failed_starts += 1
            if self._failed_starts >= ATTEMPTS:
                raise UserError(
                    f"{ATTEMPTS} workers died while they loaded their networks; see Ray's logs for "
                    "the reason (often memory), then the same command continues"
                )
            self._start()
            return
        self._failed_starts = 0
        lines = differences(cost.versions(), found["versions"])
        if lines:
            raise UserError(
                f"the worker on {found['where']} has other versions ({'; '.join(lines)}), and bits "
                "could differ; install the same on all machines"
            )
        self.processes[worker] = found["where"]
        self._workers.idle.append(worker)

    def _ended(self, event: Any) -> Done | None:
        """A batch has ended; None if its worker died, then it waits to be handed out again."""
        worker = self._workers.at_work.pop(event)
        tries, seconds = self._handed.pop(event)
        attempts = self._attempts.pop(event)
        found = self._result(event)
        if found is not None:
            outcomes, peak = found
            self._peak = max(self._peak, peak)
            self._workers.idle.append(worker)
            return Done(tries, outcomes, seconds)
        where = self.processes.pop(worker, "unknown")
        names = ", ".join(attempt.item.id for attempt in tries)
        if attempts >= ATTEMPTS:
            raise UserError(
                f"workers died {ATTEMPTS} times on the images {names}; see Ray's logs for the "
                "reason (often memory), then the same command continues"
            )
        print(f"a worker died ({where}); its batch goes to another one", file=sys.stderr)
        self._waiting.appendleft(_Batch(tries, attempts, seconds))
        self._start()
        return None

    def _hand_out(self) -> None:
        while self._waiting and self._workers.idle:
            batch, worker = self._waiting.popleft(), self._workers.idle.popleft()
            event = worker.explain.remote(batch.tries)
            self._workers.at_work[event] = worker
            self._attempts[event] = batch.attempts + 1
            self._handed.add(event, batch.tries, batch.seconds)

    def _result(self, event: Any) -> Any:
        """What a worker returned; None if it died. Raises what it raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(event)
        except errors.RayTaskError as error:
            raise getattr(error, "cause", None) or error from None
        except errors.RayError:
            return None


def import_ray() -> Any:
    """The package ray. Raises `UserError` without it."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UserError("--engine ray needs Ray: pip install 'vcebench[ray]'") from error


def _reach(address: str | None) -> None:
    """Raise OSError if nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _here(cuda: bool) -> int:
    """Workers that fit this machine."""
    return torch.cuda.device_count() if cuda else torch.get_num_threads()
