"""The thread beside the engine: order, errors, and that nothing is lost when it is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from vcebench.running.beside import Beside


def counted(n: int, opened: list[int], bad: int | None = None) -> Iterator[int]:
    for number in range(n):
        if number == bad:
            raise OSError("cannot be read")
        opened.append(number)
        yield number


def test_items_come_in_order_and_a_few_are_opened_ahead() -> None:
    opened: list[int] = []
    with Beside(ahead=3) as beside:
        items = beside.opened(counted(10, opened))
        assert next(items) == 0
        beside.store(lambda: None)
        beside.wait(0)
        assert len(opened) == 4
        assert list(items) == list(range(1, 10))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_items_than_are_opened_ahead(n: int) -> None:
    with Beside(ahead=5) as beside:
        assert list(beside.opened(counted(n, []))) == list(range(n))


def test_an_error_comes_in_its_items_place() -> None:
    with Beside(ahead=4) as beside:
        items = beside.opened(counted(10, [], bad=2))
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(OSError, match="cannot be read"):
            next(items)


def test_work_is_done_in_order_on_one_thread_also_with_opening() -> None:
    done: list[int] = []
    threads: set[int] = set()

    def work(number: int) -> None:
        threads.add(threading.get_ident())
        done.append(number)

    def items() -> Iterator[int]:
        for number in range(20):
            threads.add(threading.get_ident())
            yield number

    with Beside(ahead=2) as beside:
        for number in beside.opened(items()):
            beside.store(lambda number=number: work(number))
    assert done == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_storing_raises_is_raised_at_the_latest_at_the_end() -> None:
    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Beside(ahead=0) as beside:
        beside.store(fail)


def test_work_is_done_when_something_else_is_raised() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("full")

    def interrupted() -> None:
        with Beside(ahead=0) as beside:
            beside.store(lambda: done.append(1))
            beside.store(fail)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [1]
