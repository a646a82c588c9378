"""Explanations inside a region: whether they kept to it, how large it is, and whether it is right.

Images are stored uint8 batches (n, C, H, W) (floating point in [0, 1] is accepted), regions are
boolean (n, H, W). Definitions are this benchmark's own.
"""

import numpy as np

from vcebench.metrics.arrays import (
    ArrayInput,
    Booleans,
    Floats,
    as_array,
    check_ndim,
    unit_difference,
)


def outside_change(
    originals: ArrayInput, counterfactuals: ArrayInput, region: ArrayInput
) -> Floats:
    """Largest absolute change of a channel outside the region, per image.

    Args:
        originals, counterfactuals: image batches (n, C, H, W).
        region: (n, H, W) booleans, where the image was allowed to change.

    Returns:
        (n,) float64 in [0, 1]; 0 where the region is the whole image.

    >>> x = np.zeros((1, 3, 1, 2), dtype=np.uint8)
    >>> outside_change(x, x + np.uint8(51), np.array([[[True, False]]]))
    array([0.2])
    """
    difference = unit_difference(originals, counterfactuals).max(axis=1)
    outside = ~_region(region, difference.shape)
    largest: Floats = (difference * outside).max(axis=(1, 2))
    return largest


def region_area(region: ArrayInput) -> Floats:
    """Share of the image that the region covers, per image; (n,) float64 in [0, 1]."""
    covered: Floats = _region(region).mean(axis=(1, 2))
    return covered


def region_iou(region: ArrayInput, truth: ArrayInput) -> Floats:
    """Intersection over union of the region and the one that the true counterfactual changes.

    Args:
        region, truth: (n, H, W) booleans.

    Returns:
        (n,) float64 in [0, 1]; NaN where both are empty.
    """
    found = _region(region)
    true = _region(truth, found.shape)
    union = (found | true).sum(axis=(1, 2))
    result = np.full(len(found), np.nan)
    np.divide((found & true).sum(axis=(1, 2)), union, out=result, where=union > 0)
    return result


def _region(region: ArrayInput, shape: tuple[int, ...] | None = None) -> Booleans:
    array = as_array(region)
    check_ndim(array, "region", 3)
    if array.dtype != np.bool_ or shape not in (None, array.shape):
        raise ValueError(f"region must be boolean with shape {shape or '(n, H, W)'}")
    return array
