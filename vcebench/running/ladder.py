"""The retry ladder: pending (image, rung) pairs of the whole data set, packed into full batches.

An image whose counterfactual is not classified as the target at one rung is tried again at the
next; its last try is kept. Retries go out before new images, so that few images are under way at a
time.

Rungs that differ in λ_c alone share batches, since λ_c is given row by row. A batch is always
computed whole (see `Worker`). Where fewer tries are left than it has rows, the rows that would be
padding go ahead: its images at their next λ_c too. If an image then needs that try it is there
already; if not, nobody counts it. Rungs that change the method itself have batches of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from vcebench.running.engines.base import Engine
from vcebench.running.tries import Item, Outcome, Try


class Ladder:
    """What is still to be tried.

    Args:
        items: images to explain; read one by one, as batches need them.
        rungs: what the tries set in turn, λ_c or settings of the method (`Method.rungs`).
        batch_size: images in a full batch.
    """

    def __init__(
        self, items: Iterable[Item], rungs: Sequence[Mapping[str, Any]], batch_size: int
    ) -> None:
        self._items = iter(items)
        self._rungs = tuple(rungs)
        self._mixing = all(rung.keys() <= {"lambda_class"} for rung in self._rungs)
        self._retries: list[deque[Item]] = [deque() for _ in self._rungs]
        self._ahead: dict[str, int] = {}  # id → highest rung that its batch tries already
        self._batch_size = batch_size

    def next_batch(self) -> list[Try]:
        """The next tries, at most a batch of them; empty if nothing is pending right now.

        Several tries of one image stand in the order of their rungs.
        """
        return self._mixed() if self._mixing else self._of_one_rung()

    def _of_one_rung(self) -> list[Try]:
        for rung in reversed(range(1, len(self._rungs))):
            if waiting := self._retries[rung]:
                count = min(len(waiting), self._batch_size)
                return [self._at(waiting.popleft(), rung) for _ in range(count)]
        return [self._at(item, 0) for item in islice(self._items, self._batch_size)]

    def _mixed(self) -> list[Try]:
        batch: list[Try] = []
        for rung in reversed(range(1, len(self._rungs))):
            waiting = self._retries[rung]
            while waiting and len(batch) < self._batch_size:
                batch.append(self._at(waiting.popleft(), rung))
        while len(batch) < self._batch_size and (item := next(self._items, None)) is not None:
            batch.append(self._at(item, 0))
        climbing = batch
        while climbing and len(batch) < self._batch_size:
            room = self._batch_size - len(batch)
            climbing = [self._at(t.item, t.rung + 1) for t in climbing if not t.last][:room]
            self._ahead |= {t.item.id: t.rung for t in climbing}
            batch = batch + climbing
        return batch

    def report(self, done: Try, flipped: bool) -> bool:
        """Tell how a try went; True if it was the image's last one.

        Further tries of that image in the same batch are then not to be reported.
        """
        final = flipped or done.last
        if not final and done.rung < self._ahead.get(done.item.id, 0):
            return False
        self._ahead.pop(done.item.id, None)
        if not final:
            self._retries[done.rung + 1].append(done.item)
        return final

    def _at(self, item: Item, rung: int) -> Try:
        return Try(item, rung, self._rungs[rung], last=rung == len(self._rungs) - 1)


@dataclass
class Cost:
    """What the tries of one image have cost; seconds are its share of the wall time.

    batch_size: rows of the smallest batch, if memory allowed fewer than asked for; else None.
    """

    tries: int = 0
    nfe: int = 0
    backward: int = 0
    seconds: float = 0.0
    batch_size: int | None = None

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Count one more try."""
        self.tries += 1
        self.nfe += outcome.nfe
        self.backward += outcome.backward
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
        finals: dict[str, Final] = {}
        ids = {attempt.item.id for attempt in done.tries}
        shares = dict.fromkeys(ids, done.seconds / len(ids))
        for attempt, outcome in zip(done.tries, done.outcomes, strict=True):
            id = attempt.item.id
            if id in finals:
                continue
            cost = costs.setdefault(id, Cost())
            cost.add(outcome, shares.pop(id, 0.0))
            if ladder.report(attempt, outcome.flipped):
                finals[id] = Final(attempt, outcome, costs.pop(id))
        yield Batch(len(done.tries), list(finals.values()))
