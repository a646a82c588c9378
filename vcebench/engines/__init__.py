"""Who executes the plan: engines take batches of tries and hand back their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vcebench.tries import Outcome, Try


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

    def close(self) -> None:
        """Give up what is under way."""
        ...
