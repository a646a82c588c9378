"""Who executes the plan: engines take batches of tries and hand back their outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from vcebench.running.tries import Outcome, Try
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig


@dataclass(frozen=True)
class Done:
    """A finished batch: one outcome for every try, and the run's wall seconds it is charged."""

    tries: Sequence[Try]
    outcomes: Sequence[Outcome]
    seconds: float


class Engine(Protocol):
    """Executes batches, several at a time if it can."""

    @property
    def free(self) -> bool:
        """Whether another batch can start at once."""
        ...

    @property
    def busy(self) -> bool:
        """Whether any batch is under way."""
        ...

    def submit(self, tries: Sequence[Try]) -> None:
        """Start a batch; call it only when `free`."""
        ...

    def collect(self) -> Done:
        """Wait for the next finished batch, in whatever order they finish."""
        ...

    def peak_memory(self) -> tuple[float, str]:
        """Largest peak memory of any process so far, in MiB, and what was counted."""
        ...

    def close(self) -> None:
        """Give up what is under way."""
        ...


class Launcher(Protocol):
    """Starts an engine for a run. Its text, `str(launcher)`, goes to the run's manifest."""

    def __call__(self, config: RunConfig, worker: Worker, on_step: Callable[[int], None]) -> Engine:
        """An engine that explains batches as `worker` does, here or elsewhere.

        Args:
            config: of the run, for engines that build workers of their own from it.
            worker: what explains a batch in this process.
            on_step: may be called after every step of a reverse loop with the images in it.
        """
        ...


Ended = TypeVar("Ended")


def first_ended(running: Sequence[Future[Ended]]) -> Future[Ended]:
    """The first of some batches that has ended, waited for.

    In the order of submission, so that simultaneous ends do not shuffle anything.
    """
    ready, _ = wait(running, return_when=FIRST_COMPLETED)
    return next(future for future in running if future in ready)


Key = TypeVar("Key", bound=Hashable)


class UnderWay(Generic[Key]):
    """Batches under way, each by a key of the engine's, with the wall time they are charged.

    Time that passes is shared equally among the batches that are under way.
    """

    def __init__(self) -> None:
        self._batches: dict[Key, Sequence[Try]] = {}
        self._seconds: dict[Key, float] = {}
        self._clock = time.perf_counter()

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def keys(self) -> list[Key]:
        """Keys in the order of submission."""
        return list(self._batches)

    def add(self, key: Key, tries: Sequence[Try], seconds: float = 0.0) -> None:
        """A batch starts, with the seconds charged to it before if it is not its first start."""
        self._charge()
        self._batches[key], self._seconds[key] = tries, seconds

    def pop(self, key: Key) -> tuple[Sequence[Try], float]:
        """A batch has ended: its tries and its seconds."""
        self._charge()
        return self._batches.pop(key), self._seconds.pop(key)

    def _charge(self) -> None:
        now = time.perf_counter()
        for key in self._seconds:
            self._seconds[key] += (now - self._clock) / len(self._seconds)
        self._clock = now
