"""Planted cues: values by hand on 2×2 images."""

import numpy as np
import pytest

from vcebench.metrics.cues import cue_precision, cue_recall, progress, share_agreement


def images(*pixels):
    """Grey uint8 images (n, 3, 2, 2) from four numbers each."""
    return np.repeat(np.array(pixels, dtype=np.uint8).reshape(-1, 1, 2, 2), 3, axis=1)


def test_cue_recall_is_a_change_of_state_either_way():
    before, after = [0.9, 0.1, 0.9, 0.2], [0.1, 0.8, 0.6, 0.5]
    assert cue_recall(before, after).tolist() == [True, True, False, False]


def test_cue_precision_is_the_share_of_the_edit_in_the_region():
    x = images([0, 0, 0, 0], [9, 9, 9, 9])
    x_cf = images([30, 10, 0, 0], [9, 9, 9, 9])
    region = np.array([[[True, False], [False, False]]] * 2)
    found = cue_precision(x, x_cf, region)
    assert found[0] == pytest.approx(0.75)
    assert np.isnan(found[1])


def test_progress_is_the_projection_on_the_intervention():
    x, truth = images([0, 0, 100, 0]), images([100, 0, 0, 0])
    for x_cf, wanted in (
        ([100, 0, 0, 0], 1),  # all of it
        ([50, 0, 50, 0], 0.5),
        ([0, 0, 100, 0], 0),  # nothing
        ([0, 200, 100, 200], 0),  # elsewhere
        ([50, 200, 50, 200], 0.5),  # and elsewhere too
        ([0, 0, 200, 0], 0),  # the other way round
        ([0, 0, 0, 0], 0.5),  # one half of the region
    ):
        assert progress(x, images(x_cf), truth) == pytest.approx([wanted])
    assert np.isnan(progress(x, images([1, 2, 3, 4]), x))


@pytest.mark.parametrize(
    ("cue", "other", "share", "wanted"),
    [
        (0.4, 0.4, 0.5, 1),
        (0.9, 0.3, 0.75, 1),
        (0.3, 0.1, 0.5, 0.5),  # share 0.75
        (0, 0.7, 0.5, 0),
        (0.7, 0, 0.5, 0),
        (0, 1, 0.75, 0),
        (1, 0, 0.75, 2 / 3),
        (0, 0, 0.5, np.nan),
        (np.nan, 1, 0.5, np.nan),
    ],
)
def test_share_agreement(cue, other, share, wanted):
    assert share_agreement([cue], [other], share) == pytest.approx([wanted], nan_ok=True)


def test_a_share_is_between_0_and_1():
    with pytest.raises(ValueError, match=r"cue_share is 1\.5"):
        share_agreement([1.0], [1.0], 1.5)
