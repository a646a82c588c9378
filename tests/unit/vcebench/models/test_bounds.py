"""Rows say which networks are below what was asked of them, with the figure and the bound."""

from __future__ import annotations

import pytest

from vcebench.models.bounds import missed, remarks
from vcebench.models.shipped import ASSETS


@pytest.mark.parametrize("dataset", ["digits", "synthfaces", "synthroads"])
def test_every_bound_that_the_card_calls_missed_is_there(dataset):
    card = (ASSETS / dataset / "MODEL_CARD.md").read_text()
    assert sum(map(len, missed(dataset).values())) == card.count("**not reached**")


def test_figures_stand_with_their_bounds():
    (figure,) = missed("synthroads")["bridge"]
    name, value, *bound = figure.split()
    assert (name, bound) == ("gain", ["(at", "least", "3)"])
    assert float(value) < 3


def test_methods_are_named_with_the_network_that_they_walk_on():
    lines = remarks("synthfaces", ["maskdime", "dive", "steex", "xgem-plus", "no such method"])
    assert len(lines) == 2
    assert lines[0].startswith("`dive`, `xgem-plus`: the autoencoder network of synthfaces")
    assert lines[1].startswith("`steex`: the segments network of synthfaces")
    assert remarks("synthfaces", ["maskdime"]) == []


def test_sets_without_networks_have_nothing_to_say():
    assert missed("celeba") == {}
    assert remarks("celeba", ["dive"]) == []
