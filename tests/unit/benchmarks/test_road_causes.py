"""Scenes by what says slow down in them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from benchmarks.road_causes import causes_of, groups
from vcebench.data.synthroads import scm
from vcebench.data.synthroads.dataset import SynthRoads


def test_causes_are_those_of_the_scene_with_that_id():
    data = SynthRoads(split="test")
    rows = [SimpleNamespace(id=data[index].id) for index in (5, 0, 17)]
    expected = data.batch([5, 0, 17])[1][:, : len(scm.STOPPING)]
    np.testing.assert_array_equal(causes_of(data, rows), expected)


def test_every_scene_is_in_one_group():
    data = SynthRoads(split="test")
    causes = data.factors(range(300)).variables[:, : len(scm.STOPPING)]
    found = dict(groups(causes))
    assert len(found) == 2 + len(scm.STOPPING)
    np.testing.assert_array_equal(np.sum(list(found.values()), axis=0), 1)
    forward = data.labels(range(300)) == 1
    np.testing.assert_array_equal(found["none: to slow down"], forward)
    assert causes[found["Car_Near alone: to forward"]].tolist()[0] == [False, False, True]
