"""The search for a unit, on made-up methods that flip from some strength on."""

import pytest

from vcebench.errors import UserError
from vcebench.jobs.calibrating import (
    COARSE,
    FINE,
    HIGHEST,
    LOWEST,
    WANTED,
    Trial,
    affordable,
    search,
)


def flips_from(strength):
    tried = []

    def attempt(unit):
        tried.append(unit)
        return Trial(unit, 1.0 if unit >= strength else 0.5, 0.01 * unit)

    return attempt, tried


@pytest.mark.parametrize("strength", [0.002, 0.03, 0.3, 0.9, 1.0, 1.5, 7.0, 500.0])
def test_the_unit_found_is_within_the_fine_step_of_the_smallest(strength):
    attempt, tried = flips_from(strength)
    trials = search(attempt)
    chosen = next(trial for trial in trials if trial.flipped >= WANTED)
    assert strength <= chosen.unit <= FINE * strength * 1.0001
    assert [trial.unit for trial in trials] == sorted(tried)
    assert len(set(tried)) == len(tried)


def test_what_always_flips_gets_the_lowest_unit():
    attempt, _ = flips_from(0.0)
    assert search(attempt)[0].unit == LOWEST


def test_what_never_flips_says_how_many_do():
    attempt, tried = flips_from(float("inf"))
    with pytest.raises(UserError, match=f"no unit up to {HIGHEST:g} flips 90% .* at most 50% flip"):
        search(attempt)
    assert max(tried) == HIGHEST
    assert COARSE > FINE


def test_fewer_images_where_all_would_take_too_long():
    assert affordable(16, 100.0, 120.0) == 16
    assert affordable(16, 240.0, 120.0) == 8
    assert affordable(16, 1e6, 120.0) == 4
    assert affordable(3, 1e6, 120.0) == 3
