"""The search for a unit, on made-up methods that flip from some strength on."""

import pytest

from vcebench.errors import UserError
from vcebench.jobs.calibrating import (
    COARSE,
    FEWEST,
    FINE,
    HIGHEST,
    LOWEST,
    WANTED,
    TimeOverError,
    Trial,
    affordable,
    search,
)


def flips_from(strength, trials=99):
    """A method, with time for some trials, and what it tried."""
    tried = []

    def attempt(unit):
        if len(tried) == trials:
            raise TimeOverError
        tried.append(unit)
        return Trial(unit, 1.0 if unit >= strength else 0.5, 0.01 * unit)

    return attempt, tried


@pytest.mark.parametrize("strength", [0.002, 0.03, 0.3, 0.9, 1.0, 1.5, 7.0, 500.0])
def test_the_unit_found_is_within_the_fine_step_of_the_smallest(strength):
    attempt, tried = flips_from(strength)
    trials, untried = search(attempt)
    assert untried is None
    chosen = next(trial for trial in trials if trial.flipped >= WANTED)
    assert strength <= chosen.unit <= FINE * strength * 1.0001
    assert [trial.unit for trial in trials] == sorted(tried)
    assert len(set(tried)) == len(tried)


def test_what_always_flips_gets_the_lowest_unit():
    attempt, _ = flips_from(0.0)
    assert search(attempt)[0][0].unit == LOWEST


def test_what_never_flips_says_how_many_do():
    attempt, tried = flips_from(float("inf"))
    with pytest.raises(UserError, match=f"no unit up to {HIGHEST:g} flips 90% .* at most 50% flip"):
        search(attempt)
    assert max(tried) == HIGHEST
    assert COARSE > FINE


@pytest.mark.parametrize(("strength", "trials", "untried"), [(0.01, 2, 1 / 16), (5.0, 3, 8.0)])
def test_without_time_the_smallest_unit_so_far_has_to_do(strength, trials, untried):
    attempt, tried = flips_from(strength, trials)
    found, lacking = search(attempt)
    assert lacking == untried
    assert [trial.unit for trial in found] == sorted(tried)
    chosen = next(trial for trial in found if trial.flipped >= WANTED)
    assert chosen.unit > untried


def test_without_time_for_a_unit_that_flips_it_says_how_far_it_came():
    attempt, _ = flips_from(500.0, trials=3)
    with pytest.raises(UserError, match=r"no unit up to 16 flips 90% .* more time with --budget"):
        search(attempt)


def test_fewer_images_where_all_would_take_too_long():
    assert affordable(16, 100.0, 120.0) == 16
    assert affordable(16, 240.0, 120.0) == 8
    assert affordable(16, 1600.0, 120.0) == FEWEST
    assert affordable(16, 1e6, 120.0) == affordable(16, 100.0, -1.0) == 1
    assert affordable(1, 300.0, 120.0) == 1
