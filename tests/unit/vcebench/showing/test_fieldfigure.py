"""The picture of the field: where methods stand, and that nothing is left out silently."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vcebench.methods.registry import METHODS
from vcebench.results.tables.names import FAMILIES, family
from vcebench.showing.fieldfigure import field_map, places


@pytest.fixture
def rows(measure):
    def rows(method="maskdime", nfe=60.0, backward=0.0, **values):
        both = {"nfe": nfe, "backward_per_image": backward, **values}
        return [measure(metric, value, method=method, images=64) for metric, value in both.items()]

    return rows


def test_cost_is_forward_and_backward(rows):
    metric, found = places(
        [*rows(oracle_fr=90.0), *rows("dvce", 60.0, 180.0, oracle_fr=99.0)], ("oracle_fr",)
    )
    assert metric == "oracle_fr"
    assert {place.method: place.cost for place in found} == {"maskdime": 60, "dvce": 240}


def test_a_method_whose_cost_was_not_counted_has_no_place(rows):
    assert places(rows(backward=None, oracle_fr=90.0), ("oracle_fr",))[1] == []


def test_the_first_metric_that_is_measured_is_shown(rows):
    assert places(rows(cout=0.5), ("gt_precision", "cout"))[0] == "cout"


def texts(figure):
    axes = figure.axes
    return [text.get_text() for one in axes for text in one.texts]


def test_every_method_is_named_in_both_panels_and_what_lacks_above(rows):
    figure = field_map(
        [
            *rows(oracle_fr=90.0, gt_precision=0.4),
            *rows("pgd", 0.0, oracle_fr=0.0, gt_precision=0.1),
        ],
        ["dime"],
    )
    assert texts(figure) == ["PGD", "MaskDiME"] * 2
    title = figure._suptitle.get_text()
    assert "first 64 images" in title
    assert "not measured yet: DiME" in title
    assert figure.axes[0].get_ylim()[0] < 0 < 100 < figure.axes[0].get_ylim()[1]


def test_names_do_not_overlap_and_keep_the_order_of_the_values(rows):
    methods = list(METHODS)[:12]
    crowd = [row for method in methods for row in rows(method, oracle_fr=99.5)]
    figure = field_map(crowd)
    heights = [text.xyann[1] for text in figure.axes[0].texts]
    gaps = [b - a for a, b in pairwise(heights)]
    assert min(gaps) >= 0.0419
    assert max(heights) <= 0.981


def test_nothing_measured_is_no_picture():
    assert field_map([]) is None


def test_every_method_has_a_family():
    assert {family(method) for method in METHODS} <= set(FAMILIES.values())
