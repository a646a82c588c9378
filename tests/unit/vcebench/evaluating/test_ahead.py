"""Chunks read ahead by threads, for a device that is busy with others."""

from __future__ import annotations

import threading
import time

import pytest

from vcebench.evaluating.extraction import _ahead, _Read


def chunk(start: int) -> _Read:
    return _Read(start, None, {})


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_chunks_come_in_order_however_long_they_take(slots: int) -> None:
    def read(start: int) -> _Read:
        time.sleep(0.01 * (start % 3))
        return chunk(start)

    assert [got.start for got in _ahead(read, range(9), slots)] == list(range(9))


def test_only_a_few_are_read_ahead() -> None:
    begun: list[int] = []
    coming = _ahead(lambda start: (begun.append(start), chunk(start))[1], range(50), 2)
    next(coming)
    time.sleep(0.05)
    assert len(begun) <= 3
    coming.close()


def test_reading_goes_on_while_a_chunk_is_looked_at() -> None:
    second = threading.Event()

    def read(start: int) -> _Read:
        if start == 1:
            second.set()
        return chunk(start)

    coming = _ahead(read, range(3), 1)
    next(coming)
    assert second.wait(10)
    assert [got.start for got in coming] == [1, 2]


def test_a_file_that_cannot_be_read_ends_it() -> None:
    def read(start: int) -> _Read:
        if start == 2:
            raise ValueError("damaged")
        return chunk(start)

    with pytest.raises(ValueError, match="damaged"):
        list(_ahead(read, range(9), 3))
