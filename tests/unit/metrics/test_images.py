"""Pixel distances and the metrics against the true counterfactual."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vcebench.metrics import causal, distances

IMAGES = arrays(np.uint8, (2, 3, 4, 5))
ALL_DISTANCES = [distances.l1, distances.l1_norm, distances.l15_norm, distances.l2_norm]


def grey(*rows):
    """One uint8 image with three equal channels."""
    return np.repeat(np.array(rows, np.uint8)[None, None], 3, axis=1)


def test_distances_by_hand():
    x, x_cf = grey([0, 0]), grey([51, 0])  # 0.2 in three channels
    assert distances.l1(x, x_cf)[0] == pytest.approx(0.1)
    assert distances.l1_norm(x, x_cf)[0] == pytest.approx(0.6)
    assert distances.l15_norm(x, x_cf)[0] == pytest.approx((3 * 0.2**1.5) ** (2 / 3))
    assert distances.l2_norm(x, x_cf)[0] == pytest.approx((3 * 0.04) ** 0.5)


@pytest.mark.parametrize("distance", ALL_DISTANCES)
@given(x=IMAGES, x_cf=IMAGES)
def test_distances_are_symmetric_and_zero_only_at_home(distance, x, x_cf):
    np.testing.assert_array_equal(distance(x, x_cf), distance(x_cf, x))
    np.testing.assert_array_equal(distance(x, x_cf) == 0, (x == x_cf).all(axis=(1, 2, 3)))


@pytest.mark.parametrize("distance", ALL_DISTANCES)
@given(x=IMAGES, x_cf=IMAGES)
def test_8_bit_and_unit_images_give_the_same_distance(distance, x, x_cf):
    np.testing.assert_allclose(distance(x / 255, x_cf / 255), distance(x, x_cf), atol=1e-12)


@pytest.mark.parametrize("distance", ALL_DISTANCES)
def test_tensors_are_accepted(distance):
    x, x_cf = grey([0, 3]), grey([51, 4])
    tensors = distance(torch.from_numpy(x), torch.from_numpy(x_cf))
    np.testing.assert_array_equal(tensors, distance(x, x_cf))


def test_images_in_another_range_are_refused():
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        distances.l1(np.full((1, 3, 2, 2), -1.0), np.zeros((1, 3, 2, 2)))


def test_8_bit_and_float_images_do_not_mix():
    with pytest.raises(ValueError, match="both image batches as uint8"):
        distances.l1(grey([0]), grey([0]) / 255)


def test_true_region_starts_above_two_grey_levels():
    assert causal.true_region(grey([10, 10, 10]), grey([12, 13, 7])).tolist() == [
        [[False, True, True]]
    ]


def test_true_region_looks_at_the_largest_channel():
    truth = grey([10, 10])
    truth[0, 1, 0, 0] = 13
    assert causal.true_region(grey([10, 10]), truth).tolist() == [[[True, False]]]


def test_edits_start_above_five_percent_of_the_mean_over_channels():
    x_cf = grey([12, 13])  # 12/255 = 0.047, 13/255 = 0.051
    assert causal.edited_region(grey([0, 0]), x_cf).tolist() == [[[False, True]]]


REGION = np.array([[[True, True, False, False]]])


def test_gt_iou_by_hand():
    x, x_cf = grey([0, 0, 0, 0]), grey([0, 90, 90, 0])
    assert causal.gt_iou(x, x_cf, REGION).tolist() == [1 / 3]


def test_gt_iou_without_a_visible_edit_is_zero():
    x = grey([0, 0, 0, 0])
    assert causal.gt_iou(x, x + np.uint8(3), REGION).tolist() == [0]


def test_gt_iou_is_undefined_where_nothing_is_edited_and_nothing_should_be():
    x = grey([0, 0, 0, 0])
    assert np.isnan(causal.gt_iou(x, x, ~(REGION | True))).all()


def test_gt_precision_by_hand():
    x, x_cf = grey([0, 0, 0, 0]), grey([30, 0, 0, 10])
    assert causal.gt_precision(x, x_cf, REGION)[0] == pytest.approx(0.75)


def test_gt_precision_without_an_edit_is_undefined():
    x = grey([0, 0, 0, 0])
    assert np.isnan(causal.gt_precision(x, x, REGION)).all()


def test_gt_l1_by_hand():
    assert causal.gt_l1(grey([51, 0]), grey([0, 0]))[0] == pytest.approx(0.1)


def test_off_target_by_hand():
    x, x_cf = grey([0, 0, 0, 0]), grey([255, 255, 51, 0])
    assert causal.off_target(x, x_cf, REGION)[0] == pytest.approx(0.1)


def test_off_target_is_undefined_where_the_region_is_everything():
    x = grey([0, 0, 0, 0])
    assert np.isnan(causal.off_target(x, x, REGION | True)).all()


@given(IMAGES, IMAGES)
def test_the_true_counterfactual_is_perfect(x, truth):
    region = causal.true_region(x, truth)
    assert (causal.gt_l1(truth, truth) == 0).all()
    off = causal.off_target(x, truth, region)
    assert (np.isnan(off) | (off <= 2 / 255)).all()


@given(IMAGES, IMAGES, arrays(np.bool_, (2, 4, 5)))
def test_metrics_against_the_truth_stay_in_their_range(x, x_cf, region):
    for function in (causal.gt_iou, causal.gt_precision, causal.off_target):
        values = function(x, x_cf, region)
        assert (np.isnan(values) | ((values >= 0) & (values <= 1))).all()


@given(IMAGES, IMAGES, arrays(np.bool_, (2, 4, 5)), st.sampled_from([[0, 1], [1, 0]]))
def test_images_are_treated_one_by_one(x, x_cf, region, order):
    for function in (causal.gt_iou, causal.gt_precision, causal.off_target):
        values = function(x, x_cf, region)[order]
        np.testing.assert_allclose(function(x[order], x_cf[order], region[order]), values)


def test_region_must_be_boolean_and_fit():
    with pytest.raises(ValueError, match="boolean with shape"):
        causal.gt_iou(grey([0, 0]), grey([0, 0]), REGION)
