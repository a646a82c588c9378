"""Metrics of regions, by hand."""

import numpy as np
import pytest
import torch

from vcebench.metrics.regions import outside_change, region_area, region_iou

LEFT = torch.tensor([[[True, False, False, False]]])


def image(*levels):
    return torch.tensor(levels, dtype=torch.uint8).expand(1, 3, 1, 4)


@pytest.mark.parametrize(
    ("levels", "change"), [((9, 0, 0, 0), 0.0), ((9, 0, 51, 2), 0.2), ((0, 255, 0, 0), 1.0)]
)
def test_the_largest_change_outside(levels, change):
    assert outside_change(image(0, 0, 0, 0), image(*levels), LEFT).tolist() == [change]


def test_one_channel_is_enough():
    x = image(0, 0, 0, 0)
    x_cf = x.clone()
    x_cf[0, 2, 0, 3] = 51
    assert outside_change(x, x_cf, LEFT).tolist() == [0.2]


def test_nothing_is_outside_of_the_whole_image():
    everywhere = torch.ones(1, 1, 4, dtype=torch.bool)
    assert outside_change(image(0, 0, 0, 0), image(9, 9, 9, 9), everywhere).tolist() == [0.0]


def test_area_is_a_share_of_the_image():
    assert region_area(torch.cat([LEFT, ~LEFT, LEFT & ~LEFT])).tolist() == [0.25, 0.75, 0.0]


def test_overlap_with_the_true_region():
    half = torch.tensor([[[True, True, False, False]]])
    nothing = LEFT & ~LEFT
    found = region_iou(torch.cat([LEFT, LEFT, nothing]), torch.cat([half, ~half, nothing]))
    np.testing.assert_array_equal(found, [0.5, 0.0, np.nan])


@pytest.mark.parametrize("region", [np.ones((1, 1, 4)), np.ones((1, 1, 3), dtype=bool)])
def test_regions_are_booleans_of_the_images_size(region):
    with pytest.raises(ValueError, match="region must be boolean"):
        outside_change(image(0, 0, 0, 0), image(0, 0, 0, 0), region)
