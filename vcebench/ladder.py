"""The retry ladder: pending (image, λ_c) pairs of the whole data set, packed into full batches.

An image whose counterfactual is not classified as the target at one λ_c is tried again at the next;
its last try is kept. Retries go out before new images, so that few images are under way at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Item:
    """One image to explain.

    id, index: stable name, and position in its split.
    image: uint8 with shape (3, H, W).
    label: true class.
    target: class asked for; None leaves it to the task.
    traced: whether the steps are kept.
    """

    id: str
    index: int
    image: Tensor
    label: int
    target: int | None = None
    traced: bool = False


@dataclass(frozen=True, eq=False)
class Try:
    """One image at one λ_c; `last` if no larger one follows."""

    item: Item
    rung: int
    lambda_class: float
    last: bool


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
