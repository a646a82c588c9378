"""A second thread beside the engine's: it opens the next images and stores the finished ones.

One thread does both, one thing after another, so that an image set is never asked by two at a time
and commits stay in their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
_END = object()
_MOST = 2
"""Commits that may wait, so that memory does not grow where the disk is slower than the engine."""


class Beside:
    """The thread, as a context; what is under way is ended when it is left.

    ahead: how many images are opened before they are asked for.
    """

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead
        self._pool = ThreadPoolExecutor(1, "vcebench-files")
        self._stored: deque[Future[None]] = deque()

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is under way; raises what storing raised, unless something else is raised."""
        try:
            self.wait(0)
        except Exception:
            if error is None:
                raise
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def opened(self, items: Iterator[T]) -> Iterator[T]:
        """The same items, opened on the thread some time before they are asked for.

        An error comes in the place of the item whose opening raised it.
        """
        waiting: deque[Future[object]] = deque()
        while True:
            while len(waiting) <= self._ahead:
                waiting.append(self._pool.submit(next, items, _END))
            item = waiting.popleft().result()
            if item is _END:
                return
            yield item  # type: ignore[misc]

    def store(self, work: Callable[[], None]) -> None:
        """Have the thread do some work after what it was given before; see `wait`."""
        self._stored.append(self._pool.submit(work))
        self.wait(_MOST)

    def wait(self, left: int) -> None:
        """Wait until no more than `left` pieces of work are not done; raises what one raised."""
        while len(self._stored) > left:
            self._stored.popleft().result()
