"""Packing of pending (image, λ_c) pairs."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.running.ladder import Ladder
from vcebench.running.tries import Item

LADDER = (8.0, 10.0, 15.0)
RUNGS = tuple({"lambda_class": rung} for rung in LADDER)


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
            if index in final:  # a try that went ahead, and is not needed
                continue
            tried[index].append(attempt.lambda_class)
            if ladder.report(attempt, flipped=flips_at[index] == attempt.rung):
                final.add(index)
    assert final == set(range(len(flips_at)))
    for index, rung in enumerate(flips_at):
        assert tried[index] == list(LADDER[: rung + 1])


def test_retries_and_new_images_share_a_full_batch() -> None:
    ladder = Ladder(items(10), RUNGS, 4)
    for attempt in ladder.next_batch():
        ladder.report(attempt, flipped=attempt.item.index >= 2)
    second = [(attempt.item.index, attempt.lambda_class) for attempt in ladder.next_batch()]
    assert second == [(0, 10.0), (1, 10.0), (4, 8.0), (5, 8.0)]


def test_rows_that_would_be_padding_go_ahead_at_the_next_rungs() -> None:
    ladder = Ladder(items(2), RUNGS, 5)
    tries = [(attempt.item.index, attempt.rung) for attempt in ladder.next_batch()]
    assert tries == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]


def test_a_try_that_went_ahead_is_not_made_again() -> None:
    ladder = Ladder(items(2), RUNGS, 4)
    batch = ladder.next_batch()
    assert [ladder.report(attempt, flipped=False) for attempt in batch] == [False] * 4
    (third, fourth) = ladder.next_batch()
    assert {third.rung, fourth.rung} == {2}
    assert ladder.report(third, flipped=False)
    assert ladder.report(fourth, flipped=True)
    assert ladder.next_batch() == []


def test_images_are_read_only_when_a_batch_needs_them() -> None:
    opened = []

    def reading() -> Iterator[Item]:
        for item in items(9):
            opened.append(item.index)
            yield item

    Ladder(reading(), RUNGS, 3).next_batch()
    assert opened == [0, 1, 2]


def test_the_last_rung_is_marked() -> None:
    (attempt,) = Ladder(items(1), RUNGS[:1], 3).next_batch()
    assert attempt.last


def test_rungs_that_change_the_method_have_batches_of_their_own() -> None:
    ladder = Ladder(items(5), ({"tau": 3}, {"tau": 5}), 2)
    first, second = ladder.next_batch(), ladder.next_batch()
    for attempt in (*first, *second):
        ladder.report(attempt, flipped=attempt.item.index == 1)
    batches = []
    while batch := ladder.next_batch():
        batches.append([(attempt.item.index, attempt.settings["tau"]) for attempt in batch])
        for attempt in batch:
            ladder.report(attempt, flipped=True)
    assert batches == [[(0, 5), (2, 5)], [(3, 5)], [(4, 3)]]
