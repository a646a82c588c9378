import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.bootstrap import mean_interval
from vcebench.metrics.registry import METRICS, MetricError
from vcebench.metrics.result import MetricValue, measure, measured, missing, summarise

ALL = [True] * 4


def not_computable():
    raise NotComputableError("fewer than 2 counterfactuals (n = 1)")


def test_percent_metrics_come_in_percent():
    result = summarise("fr", [True, False, True, True], ALL, ALL)
    assert (result.value, result.n, result.population) == (75.0, 4, "all")
    assert result.interval == mean_interval([0.0, 100.0, 100.0, 100.0])


@pytest.mark.parametrize(
    ("id", "expected", "n"), [("nfe", 2.5, 4), ("l1", 0.2, 2), ("s3", 0.3, 2), ("gt_l1", 0.3, 1)]
)
def test_the_registry_chooses_the_population(id, expected, n):
    values = [1, 2, 3, 4] if id == "nfe" else [0.1, 0.3, 0.3, 0.9]
    result = summarise(id, values, [1, 1, 0, 0], [0, 1, 1, 0])
    assert (result.value, result.n) == (pytest.approx(expected), n)


def test_values_outside_the_population_need_not_exist():
    assert summarise("fs", [0.5, math.nan], [True, False], [True, True]).value == 0.5


def test_images_without_a_value_are_not_counted():
    result = summarise("gt_precision", [0.5, math.nan, 0.7, 0.6], ALL, ALL)
    assert (result.value, result.n) == (pytest.approx(0.6), 3)


def test_no_flipped_image_is_a_reason():
    result = summarise("l1", [0.1, 0.2], [False, False], [True, True], backbone="none")
    assert (result.value, result.n, result.interval) == (None, 0, None)
    assert result.reason == "no flipped image"


def test_no_defined_value_is_a_reason():
    result = summarise("gt_iou", [math.nan] * 4, ALL, ALL)
    assert result.reason == "not defined for any of 4 images"


def test_one_image_has_a_value_but_no_interval():
    result = summarise("l1", [0.25], [True], [True])
    assert (result.value, result.interval) == (0.25, None)


def test_metrics_without_interval_have_none():
    assert summarise("time", [1.0, 2.0], [1, 1], [1, 1]).interval is None


def test_the_backbone_is_kept():
    assert summarise("s3", [0.9], [1], [1], backbone="SimSiam ResNet-50").backbone == (
        "SimSiam ResNet-50"
    )


def test_values_and_images_must_pair_up():
    with pytest.raises(ValueError, match="2 values for 3 images"):
        summarise("fr", [1, 0], [1, 1, 1], [1, 1, 1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms())
def test_a_summary_does_not_depend_on_the_order_of_the_images(values, random):
    order = random.sample(range(len(values)), len(values))
    flipped = [i % 3 != 0 for i in range(len(values))]
    result = summarise("l1", values, flipped, flipped, resamples=20)
    shuffled = [values[i] for i in order], [flipped[i] for i in order]
    again = summarise("l1", *shuffled, shuffled[1], resamples=20)
    assert (again.n, again.interval, again.reason) == (result.n, result.interval, result.reason)
    assert again.value == pytest.approx(result.value)


def test_a_set_metric_is_passed_on():
    assert measure("fid", lambda: 12.5, n=30, backbone="Inception-v3") == MetricValue(
        "fid", 12.5, 30, None, "Inception-v3", "flipped"
    )


def test_halvings_are_averaged_and_bootstrapped():
    halvings = np.arange(10.0)
    result = measure("sfid", lambda: halvings, n=30)
    assert (result.value, result.interval) == (4.5, mean_interval(halvings))


def test_a_set_metric_may_bring_its_interval():
    assert measure("cd", lambda: 2.0, n=30, interval=lambda: (1.5, 2.5)).interval == (1.5, 2.5)


def test_a_set_metric_that_cannot_be_computed_is_missing():
    result = measure("fid", not_computable, n=1)
    assert (result.value, result.reason) == (None, "fewer than 2 counterfactuals (n = 1)")


def test_nothing_is_computed_for_no_image():
    assert measure("kid", lambda: pytest.fail("called"), n=0).reason == "no flipped image"


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        measure("fid", lambda: 1 / 0, n=5)


def test_missing_keeps_the_population_of_the_registry():
    assert missing("cout", "no weights").population == "correct"


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 100.1])
def test_a_value_must_be_possible(value):
    with pytest.raises(ValueError, match="is not within"):
        measured("fva", value, n=3)


def test_an_interval_must_be_the_right_way_up():
    with pytest.raises(ValueError, match="upside down"):
        measured("l1", 0.5, n=3, interval=(0.6, 0.4))


@pytest.mark.parametrize(("value", "reason"), [(None, None), (0.5, "no weights"), (None, "")])
def test_either_a_value_or_a_reason(value, reason):
    with pytest.raises(ValueError, match="either a value or the reason"):
        MetricValue("l1", value, 3, None, None, "flipped", reason)


def test_a_missing_value_has_no_interval():
    with pytest.raises(ValueError, match="no interval"):
        MetricValue("l1", None, 3, (0.0, 1.0), None, "flipped", "no weights")


def test_unknown_metrics_have_no_value():
    with pytest.raises(MetricError, match="did you mean 'fid'"):
        measured("fidd", 1.0, n=3)


@pytest.mark.parametrize("id", METRICS)
def test_every_metric_can_be_missing(id):
    assert missing(id, "missing weights").reason == "missing weights"
