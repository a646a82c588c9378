"""The causal model of the driving scenes: the rule, interventions, designed correlations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.data.synthroads import scm
from vcebench.data.synthroads.factors import NUISANCE, Factors, draw

names = st.sampled_from(scm.NAMES)


@pytest.fixture(scope="module")
def factors() -> Factors:
    return draw(0, range(300))


@pytest.fixture(scope="module")
def many() -> Factors:
    return draw(3, range(6000))


def test_the_rule_slows_down_for_any_of_three_causes():
    for code in range(2 ** len(scm.NAMES)):
        row = np.array([[code >> column & 1 for column in range(len(scm.NAMES))]], dtype=bool)
        assert scm.forward(row)[0] == (not row[0, : len(scm.STOPPING)].any())


def test_the_label_is_balanced(many: Factors):
    assert 0.45 < many.value("Forward").mean() < 0.55


@pytest.mark.parametrize("name", scm.NAMES)
def test_every_variable_occurs_with_both_values(many: Factors, name: str):
    assert 0.15 < many.value(name).mean() < 0.85


@pytest.mark.parametrize("name", scm.STOPPING)
def test_each_cause_alone_decides_some_scenes(many: Factors, name: str):
    alone = many.value(name) & many.do({name: 0}).value("Forward")
    assert alone.mean() > 0.05


@pytest.mark.parametrize(
    ("cause", "effect", "sign"),
    [
        ("Red_Light", "Pedestrian", 1),
        ("Red_Light", "Car_Near", 1),
        ("Buildings", "Bystander", 1),
        ("Rain", "Bystander", -1),
    ],
)
def test_correlations_have_the_designed_signs(many: Factors, cause: str, effect: str, sign: int):
    found = np.corrcoef(many.value(cause).astype(float), many.value(effect).astype(float))
    assert sign * found[0, 1] > 0.08


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.integers(0, 5))
def test_factors_do_not_depend_on_their_batch(scenes: list[int], seed: int):
    together = draw(seed, scenes)
    for row, number in enumerate(scenes):
        alone = draw(seed, [number])
        assert np.array_equal(together.nuisance[row], alone.nuisance[0])
        assert np.array_equal(together.variables[row], alone.variables[0])
        assert together.texture[row] == alone.texture[0]


@given(names, st.booleans())
def test_do_sets_its_variable_and_holds_everything_else(name: str, value: bool):
    before = draw(0, range(12))
    after = before.do({name: value})
    others = [column for column, other in enumerate(scm.NAMES) if other != name]
    assert (after.value(name) == value).all()
    assert np.array_equal(before.variables[:, others], after.variables[:, others])
    assert after.nuisance is before.nuisance
    assert after.texture is before.texture


@given(names, names, st.booleans(), st.booleans())
def test_interventions_commute_unless_they_set_the_same(
    first: str, second: str, one: bool, other: bool
):
    if first == second:
        return
    start = draw(2, range(6))
    left, right = start.do({first: one}).do({second: other}), start.do({second: other, first: one})
    assert np.array_equal(left.variables, right.variables)


def test_propagation_reaches_descendants_and_respects_earlier_interventions(many: Factors):
    moved = many.do(Red_Light=1, propagate=True)
    changed = {n for n in scm.NAMES if (moved.value(n) != many.value(n)).any()}
    assert changed == {"Red_Light", "Pedestrian", "Car_Near"}
    held = many.do(Car_Near=0).do(Red_Light=1, propagate=True)
    assert not held.value("Car_Near").any()


@pytest.mark.parametrize("wanted", [False, True])
def test_go_reaches_the_label(factors: Factors, wanted: bool):
    assert (factors.go(wanted).value("Forward") == wanted).all()


def test_go_changes_causes_only_and_only_as_stated(factors: Factors):
    context = slice(len(scm.STOPPING), None)
    ahead, stop = factors.go(1), factors.go(0)
    assert np.array_equal(ahead.variables[:, context], factors.variables[:, context])
    was_forward = factors.value("Forward").astype(bool)
    assert np.array_equal(stop.value("Red_Light"), factors.value("Red_Light") | was_forward)
    others = [scm.NAMES.index(name) for name in scm.NAMES if name != "Red_Light"]
    assert np.array_equal(stop.variables[:, others], factors.variables[:, others])


def test_unknown_causes_and_values_are_refused(factors: Factors):
    with pytest.raises(KeyError, match="no cause 'Snow'"):
        factors.do(Snow=1)
    with pytest.raises(ValueError, match="0 or 1"):
        factors.do(Rain=2)


def test_factors_have_distinct_names():
    assert len({*NUISANCE, *scm.NAMES, scm.LABEL}) == len(NUISANCE) + len(scm.NAMES) + 1
