"""Packing of pending (image, λ_c) pairs."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.ladder import Ladder
from vcebench.tries import Item

RUNGS = (8.0, 10.0, 15.0)


def items(n: int) -> list[Item]:
    return [Item(f"i{i}", i, torch.zeros(3, 1, 1, dtype=torch.uint8), 0) for i in range(n)]


@given(
    flips_at=st.lists(st.integers(0, 3), max_size=40),
    batch_size=st.integers(1, 9),
    parallel=st.integers(1, 3),
    order=st.randoms(use_true_random=False),
)
def test_every_image_climbs_until_it_flips(
    flips_at: list[int], batch_size: int, parallel: int, order: random.Random
) -> None:
    """flips_at[i] is the rung image i flips at; 3 is never."""
    ladder = Ladder(items(len(flips_at)), RUNGS, batch_size)
    tried, final = defaultdict(list), set()
    under_way = []
    while True:
        while len(under_way) < parallel and (batch := ladder.next_batch()):
            assert len(batch) <= batch_size
            under_way.append(batch)
        if not under_way:
            break
        for attempt in under_way.pop(order.randrange(len(under_way))):
            index = attempt.item.index
            assert index not in final
            tried[index].append(attempt.lambda_class)
            if ladder.report(attempt, flipped=flips_at[index] == attempt.rung):
                final.add(index)
    assert final == set(range(len(flips_at)))
    for index, rung in enumerate(flips_at):
        assert tried[index] == list(RUNGS[: rung + 1])


def test_retries_and_new_images_share_a_full_batch() -> None:
    ladder = Ladder(items(10), RUNGS, 4)
    for attempt in ladder.next_batch():
        ladder.report(attempt, flipped=attempt.item.index >= 2)
    second = [(attempt.item.index, attempt.lambda_class) for attempt in ladder.next_batch()]
    assert second == [(0, 10.0), (1, 10.0), (4, 8.0), (5, 8.0)]


def test_images_are_read_only_when_a_batch_needs_them() -> None:
    opened = []

    def reading() -> Iterator[Item]:
        for item in items(9):
            opened.append(item.index)
            yield item

    Ladder(reading(), RUNGS, 3).next_batch()
    assert opened == [0, 1, 2]


def test_the_last_rung_is_marked() -> None:
    (attempt,) = Ladder(items(1), (8.0,), 3).next_batch()
    assert attempt.last
