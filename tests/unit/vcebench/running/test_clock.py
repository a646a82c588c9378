"""Clocks around networks: all time is some phase's, and no value changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from vcebench.running.clock import Clock, TimedNetwork
from vcebench.running.precision import in_precision

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that advances by one second whenever it is read."""
    seconds: Iterator[int] = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))
    return Clock(CPU)


def test_an_inner_phase_stops_the_outer_ones_clock(clock: Clock) -> None:
    with clock.phase("outer"), clock.phase("inner"):
        pass
    assert dict(clock.seconds) == {"outer": 2.0, "inner": 1.0}


def test_phases_left_open_by_an_error_end_with_the_one_around_them(clock: Clock) -> None:
    def fail() -> None:
        with clock.phase("outer"):
            clock.enter("left open")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    with clock.phase("next"):
        pass
    assert clock.seconds["left open"] == 1.0
    assert clock.seconds["next"] == 1.0


def test_backward_passes_are_timed_where_they_happen(clock: Clock) -> None:
    network = TimedNetwork(nn.Linear(3, 1).requires_grad_(False), clock, "network")
    x = torch.ones(2, 3, requires_grad=True)
    with clock.phase("rest"):
        out = network(x).sum()
        forward = clock.seconds["network"]
        torch.autograd.grad(out, x)
    assert (forward, clock.seconds["network"]) == (1.0, 2.0)


@pytest.mark.parametrize("precision", ["exact", "bf16"])
def test_a_timed_network_has_the_same_values_and_gradients(precision: Any) -> None:
    torch.manual_seed(0)
    plain = in_precision(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU()).requires_grad_(False), precision
    )
    x = torch.randn(2, 3, 8, 8)
    found = []
    for network in (plain, TimedNetwork(plain, Clock(CPU), "network")):
        at = x.clone().requires_grad_()
        out = network(at)
        found.append((out, torch.autograd.grad(out.square().sum(), at)[0]))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
