"""Differences of two runs: pairing, populations, intervals."""

from __future__ import annotations

import numpy as np
import pytest

from vcebench.evaluating.verdicts import Verdicts
from vcebench.jobs.differences import Difference, Labels, Side, compare_sides

N = 20
RNG = np.random.default_rng(0)
ORIGINALS = RNG.normal(size=(N, 2))


class Named:
    def __init__(self, index: int) -> None:
        self.id = f"image-{index:02d}"


def side(features=None, flipped=None, correct=None, changes=None, unsure=None, **values) -> Side:
    everywhere = np.ones(N, dtype=bool)
    return Side(
        rows=[Named(index) for index in range(N)],
        values={id: np.asarray(array, dtype=float) for id, array in values.items()},
        features=features,
        verdicts=Verdicts(
            flipped=everywhere if flipped is None else np.asarray(flipped),
            correct=everywhere if correct is None else np.asarray(correct),
            unsure=unsure or {},
        ),
        changes=changes,
    )


def only(differences: list[Difference]) -> Difference:
    (one,) = differences
    return one


def test_a_constant_difference_has_an_interval_of_no_width():
    noise = RNG.uniform(size=N)
    one = only(compare_sides(side(l1=noise), side(l1=noise + 0.25)))
    assert one.difference == pytest.approx(0.25)
    assert one.interval == pytest.approx((0.25, 0.25))
    assert one.better == "A"


def test_equal_runs_do_not_differ():
    one = only(compare_sides(side(cout=np.arange(N)), side(cout=np.arange(N))))
    assert (one.difference, one.interval, one.better) == (0, (0, 0), "")


def test_nothing_is_compared_on_a_population_that_nobody_knows():
    first = side(fr=np.zeros(N), l1=np.zeros(N), cout=np.zeros(N), unsure={"flipped": 1})
    assert [one.id for one in compare_sides(first, side(fr=np.ones(N), l1=np.ones(N)))] == []
    first = side(l1=np.zeros(N), cout=np.zeros(N), unsure={"correct": 1})
    second = side(l1=np.zeros(N), cout=np.zeros(N))
    assert [one.id for one in compare_sides(first, second)] == ["l1"]


def test_rates_are_in_percent():
    one = only(compare_sides(side(fr=np.zeros(N)), side(fr=np.ones(N))))
    assert (one.first, one.second, one.better) == (0, 100, "B")


def test_only_images_in_the_population_of_both_runs_are_paired():
    first = side(l1=np.zeros(N), flipped=np.arange(N) < 15)
    second = side(l1=np.ones(N), flipped=np.arange(N) >= 10)
    assert only(compare_sides(first, second)).n == 5


def test_undefined_values_are_left_out():
    values = np.zeros(N)
    values[:3] = np.nan
    assert only(compare_sides(side(gt_iou=values), side(gt_iou=np.zeros(N)))).n == N - 3


def test_a_metric_without_a_common_image_is_left_out():
    first = side(l1=np.zeros(N), flipped=np.zeros(N, dtype=bool))
    assert compare_sides(first, side(l1=np.zeros(N))) == []


def test_set_distances_have_the_interval_that_the_registry_says():
    near = side(features=(ORIGINALS, ORIGINALS + 0.1))
    far = side(features=(ORIGINALS, ORIGINALS + 2.0))
    found = {one.id: one for one in compare_sides(near, far)}
    assert set(found) == {"fid", "kid", "sfid"}
    assert found["fid"].interval is None
    assert found["fid"].difference == pytest.approx(2 * (4 - 0.01))
    assert found["sfid"].better == "A"


def test_cd_is_compared_where_there_are_attributes():
    query = np.where(np.arange(N) % 2, 1, -1)
    alone = np.stack([query, np.zeros(N, dtype=int)], axis=1)
    together = np.stack([query, query], axis=1)
    labels = Labels(("q", "a"), "q", np.array([1.0, 0.25]))
    one = only(compare_sides(side(changes=alone), side(changes=together), labels))
    assert (one.id, one.first, one.second, one.interval) == ("cd", 0.25, 0.75, None)
