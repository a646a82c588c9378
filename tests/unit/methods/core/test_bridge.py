"""The bridge's schedule."""

import numpy as np
import pytest
import torch

from vcebench.methods.core.bridge import Bridge
from vcebench.methods.core.errors import MethodError


def test_weights_sum_to_one_and_run_from_the_image_to_the_corruption():
    bridge = Bridge(500)
    np.testing.assert_allclose(bridge.image + bridge.corruption, 1, atol=1e-14)
    assert np.all(np.diff(bridge.corruption) > 0)
    assert bridge.corruption[0] < 0.001
    assert bridge.corruption[-1] > 0.999


def test_truncation_keeps_the_number_of_moves():
    bridge = Bridge(500)
    for truncation in (0.4, 0.6, 1.0):
        walk = bridge.respaced(25, truncation)
        assert len(walk) == 26
        assert (walk.kept[0], walk.kept[-1]) == (0, round(500 * truncation) - 1)


def test_a_walk_can_be_respaced_again():
    again = Bridge(500).respaced(25, 0.6).respaced(10, 1.0)
    assert again.kept == Bridge(500).respaced(10).kept


def test_q_sample_mixes_image_and_corruption_at_a_kept_index():
    bridge = Bridge(500).respaced(10, 0.6)
    n = bridge.kept[10]
    mixed = bridge.q_sample(torch.tensor([1.0]), 10, torch.tensor([-2.0]))
    assert float(mixed) == pytest.approx(bridge.image[n] - 2 * bridge.corruption[n])


@pytest.mark.parametrize(("moves", "truncation"), [(300, 0.6), (0, 1.0), (5, 0.01)])
def test_too_many_moves_are_refused_with_what_there_is_room_for(moves, truncation):
    with pytest.raises(MethodError, match="leaves room for 1"):
        Bridge(500).respaced(moves, truncation)


def test_an_odd_chain_is_refused():
    with pytest.raises(MethodError, match="even"):
        Bridge(501)
