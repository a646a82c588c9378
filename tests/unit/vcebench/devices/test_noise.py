"""Noise drawn ahead is the noise drawn when it is asked for, whatever was guessed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.devices.noise import NoiseAhead, drawn_ahead
from vcebench.methods.core.noise import KeyedNoise

NOISE = KeyedNoise(5, "set", ["a", "b", "c", "a"], (3, 4, 5))
WALK = [("start", 0, 0), *((p, step, 0) for step in range(5) for p in ("posterior", "outside"))]
NESTED = [("inner", step, n) for step in range(3) for n in range(3 - step)]


@pytest.fixture
def ahead() -> Iterator[NoiseAhead]:
    drawing = NoiseAhead(NOISE, threads=3)
    yield drawing
    drawing.close()


@pytest.mark.parametrize("keys", [WALK, NESTED, list(reversed(WALK)), [("start", 0, 0)] * 3])
def test_every_draw_is_the_direct_one(ahead: NoiseAhead, keys: list[tuple[str, int, int]]) -> None:
    for key in keys:
        assert torch.equal(ahead.draw(*key), NOISE.draw(*key))


draws = st.tuples(
    st.sampled_from(["posterior", "views"]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 1),
    st.sampled_from([None, (2,), (1, 3)]),
)


@given(keys=st.lists(draws, max_size=12), threads=st.integers(1, 5))
def test_no_order_of_draws_changes_a_bit(keys, threads):
    drawing = NoiseAhead(NOISE, threads)
    try:
        for key in keys:
            assert torch.equal(drawing.draw(*key), NOISE.draw(*key))
    finally:
        drawing.close()


def asked_of(keys: list[tuple[str, int, int]], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often threads drew for the first image, before and while each key was asked for."""
    drawn: list[tuple[str, int, int]] = []
    plain = KeyedNoise.fill

    def fill(self, numbers, row, purpose, step, inner_step=0, pass_index=0):
        if row == 0:
            drawn.append((purpose, step, inner_step))
        plain(self, numbers, row, purpose, step, inner_step, pass_index)

    monkeypatch.setattr(KeyedNoise, "fill", fill)
    drawing = NoiseAhead(NOISE, threads=1)
    for key in keys:
        drawing.draw(*key)
    drawing.close()
    return [drawn.count(key) for key in keys]


def test_nothing_is_drawn_twice_in_a_usual_walk(monkeypatch):
    assert set(asked_of(WALK, monkeypatch)) == {1}


def test_a_nested_chain_costs_one_wrong_guess_a_chain(monkeypatch):
    wasted = [key for key, times in zip(NESTED, asked_of(NESTED, monkeypatch)) if times > 1]  # noqa: B905
    assert all(n == 0 for _, _, n in wasted)


def test_the_next_step_is_there_before_it_is_asked_for(monkeypatch):
    drawing = NoiseAhead(NOISE, threads=1)
    drawing.draw("posterior", 3)
    drawing._coming["posterior"].parts[0].result()
    # Whoever draws now would fail, so the numbers can only be those drawn ahead.
    monkeypatch.setattr(KeyedNoise, "fill", lambda *key: pytest.fail("drawn when asked for"))
    found = drawing._coming["posterior"].numbers.clone()
    assert torch.equal(drawing.draw("posterior", 4), found)
    monkeypatch.undo()
    drawing.close()
    assert torch.equal(found, NOISE.draw("posterior", 4))


def test_a_fault_of_a_thread_is_not_swallowed(monkeypatch):
    def fail(*key: object) -> None:
        raise MemoryError("no room")

    drawing = NoiseAhead(NOISE, threads=2)
    monkeypatch.setattr(KeyedNoise, "fill", fail)
    with pytest.raises(MemoryError, match="no room"):
        drawing.draw("start", 0)
    drawing.close()


def test_on_a_cpu_noise_is_drawn_when_asked_for():
    with drawn_ahead(NOISE) as noise:
        assert noise is NOISE
