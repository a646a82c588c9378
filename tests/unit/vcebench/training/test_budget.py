"""How many steps fit into a time, on a clock that the test sets."""

import pytest
import torch
import torch.nn.functional as F

from vcebench.training import budget, loop
from vcebench.training.budget import seconds_a_step, steps_within
from vcebench.training.loop import LoopSettings
from vcebench.training.parts import Part


class Clock:
    """Every step takes two seconds."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(budget.time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def part(clock):
    def loss():
        def value(module, generator):
            clock.now += 2.0
            x = torch.randn(4, 3, 8, 8, generator=generator)
            return F.mse_loss(module(x)[:, 0], x.mean(dim=(1, 2, 3)))

        return value

    def make(seed=1, batch=4):
        return Part(
            name="prior",
            title="tiny CNN",
            summary="For tests.",
            architecture="smooth-classifier",
            config={"outputs": 1, "widths": (8,)},
            settings=LoopSettings(steps=1, seed=seed),
            loss=loss,
            inputs={"batch": batch},
        )

    return make


def test_a_step_is_timed_after_the_first_ones(part):
    assert seconds_a_step(part()) == 2.0


@pytest.mark.parametrize(("seconds", "steps"), [(3600, 1500), (1000, 420), (10, budget.FEWEST)])
def test_as_many_steps_as_fit(part, tmp_path, seconds, steps):
    assert steps_within(seconds, part(), tmp_path / "b.json") == steps
    assert steps * 2.0 <= seconds or steps == budget.FEWEST


def test_the_number_stays_until_something_else_is_trained(part, tmp_path, clock, monkeypatch):
    place = tmp_path / "state" / "b.json"
    steps = steps_within(3600, part(), place)
    before = clock.now
    assert steps_within(3600, part(), place) == steps
    assert clock.now == before  # nothing was timed
    monkeypatch.setattr(budget, "seconds_a_step", lambda part: 1.0)
    assert steps_within(7200, part(), place) != steps
    assert steps_within(7200, part(batch=8), place) == 6100
    assert steps_within(7200, part(batch=8), place, restart=True) == 6100
    place.write_bytes(b"damaged")
    assert steps_within(7200, part(), place) == 6100


def test_a_log_has_a_line_soon_and_every_minute(clock, capsys, tmp_path, monkeypatch):
    def loss(module, generator):
        clock.now += 2.0
        return module(torch.ones(1, 1)).square().sum()

    saved = []
    monkeypatch.setattr(loop, "_save", lambda state, path, mark: saved.append(state.step))
    settings = LoopSettings(steps=400, seed=0, save_every=1000)
    loop.fit("prior", torch.nn.Linear(1, 1), loss, settings, tmp_path / "x.pt")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("prior: step 3/400, loss ")  # five seconds, at two a step
    assert "min left" in lines[0]
    assert lines[-1].startswith("prior: step 400/400, loss ")
    assert "left" not in lines[-1]
    assert saved == [*range(30, 400, 30), 400]  # a minute, at two seconds a step
