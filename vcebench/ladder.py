"""The retry ladder: pending (image, λ_c) pairs of the whole data set, packed into full batches.

An image whose counterfactual is not classified as the target at one λ_c is tried again at the next;
its last try is kept. Retries go out before new images, so that few images are under way at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vcebench.engines import Engine
from vcebench.tries import Item, Outcome, Try


class Ladder:
    """What is still to be tried.

    Args:
        items: images to explain; read one by one, as batches need them.
        rungs: the λ_c to try in turn.
        batch_size: images in a full batch.
    """

    def __init__(self, items: Iterable[Item], rungs: Sequence[float], batch_size: int) -> None:
        self._items = iter(items)
        self._rungs = tuple(rungs)
        self._retries: list[deque[Item]] = [deque() for _ in self._rungs]
        self._batch_size = batch_size

    def next_batch(self) -> list[Try]:
        """The next tries, at most a batch of them; empty if nothing is pending right now."""
        batch: list[Try] = []
        for rung in reversed(range(1, len(self._rungs))):
            waiting = self._retries[rung]
            while waiting and len(batch) < self._batch_size:
                batch.append(self._at(waiting.popleft(), rung))
        while len(batch) < self._batch_size and (item := next(self._items, None)) is not None:
            batch.append(self._at(item, 0))
        return batch

    def report(self, done: Try, flipped: bool) -> bool:
        """Tell how a try went; True if it was the image's last one."""
        if flipped or done.last:
            return True
        self._retries[done.rung + 1].append(done.item)
        return False

    def _at(self, item: Item, rung: int) -> Try:
        return Try(item, rung, self._rungs[rung], last=rung == len(self._rungs) - 1)


@dataclass
class Cost:
    """What the tries of one image have cost; seconds are its share of the wall time.

    batch_size: rows of the smallest batch, if memory allowed fewer than asked for; else None.
    """

    tries: int = 0
    nfe: int = 0
    seconds: float = 0.0
    batch_size: int | None = None

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Count one more try."""
        self.tries += 1
        self.nfe += outcome.nfe
        self.seconds += seconds
        sizes = [size for size in (self.batch_size, outcome.batch_size) if size is not None]
        self.batch_size = min(sizes, default=None)


@dataclass(frozen=True)
class Final:
    """An image's last try, and what all its tries cost."""

    attempt: Try
    outcome: Outcome
    cost: Cost


@dataclass(frozen=True)
class Batch:
    """A batch that has ended: its number of tries, and the images that are done with it."""

    tries: int
    finals: Sequence[Final]


def drive(ladder: Ladder, engine: Engine) -> Iterator[Batch]:
    """Keep the engine busy until nothing is left to try; yields batches as they end."""
    costs: dict[str, Cost] = {}
    while True:
        while engine.free and (tries := ladder.next_batch()):
            engine.submit(tries)
        if not engine.busy:
            return
        done = engine.collect()
        finals = []
        for attempt, outcome in zip(done.tries, done.outcomes, strict=True):
            cost = costs.setdefault(attempt.item.id, Cost())
            cost.add(outcome, done.seconds / len(done.tries))
            if ladder.report(attempt, outcome.flipped):
                finals.append(Final(attempt, outcome, costs.pop(attempt.item.id)))
        yield Batch(len(done.tries), finals)
