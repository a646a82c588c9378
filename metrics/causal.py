"""Against the true counterfactual, which only data with known causes has.

Population: correct and flipped. Images are stored uint8 batches (n, C, H, W) (floating point in
[0, 1] is accepted), regions are boolean (n, H, W). NaN marks an image for which a metric has no
value; summaries leave such images out and count the others. Definitions are this benchmark's own.
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

REGION_THRESHOLD = 2 / 255  # largest difference over the channels
EDIT_THRESHOLD = 0.05  # mean difference over the channels


def true_region(originals: ArrayInput, truths: ArrayInput) -> Booleans:
    """Pixels that the true counterfactual changes: max-channel difference above 2/255.

    Args:
        originals, truths: the inputs and their true counterfactuals (n, C, H, W).

    Returns:
        (n, H, W) booleans.
    """
    region: Booleans = unit_difference(originals, truths).max(axis=1) > REGION_THRESHOLD
    return region


def edited_region(originals: ArrayInput, counterfactuals: ArrayInput) -> Booleans:
    """Pixels that a method edited visibly: channel-mean difference above 0.05; (n, H, W)."""
    edited: Booleans = unit_difference(originals, counterfactuals).mean(axis=1) > EDIT_THRESHOLD
    return edited


def gt_iou(originals: ArrayInput, counterfactuals: ArrayInput, region: ArrayInput) -> Floats:
    """Intersection over union of the edited and the true region, per image.

    Args:
        originals, counterfactuals: image batches (n, C, H, W).
        region: (n, H, W) booleans from `true_region`.

    Returns:
        (n,) float64 in [0, 1]; 0 where nothing is edited visibly although something should be,
        NaN where both regions are empty.
    """
    edited = edited_region(originals, counterfactuals)
    truth = _region(region, edited.shape)
    return _ratio((edited & truth).sum(axis=(1, 2)), (edited | truth).sum(axis=(1, 2)))


def gt_precision(originals: ArrayInput, counterfactuals: ArrayInput, region: ArrayInput) -> Floats:
    """Share of the summed absolute difference that lies inside the true region, per image.

    Args:
        originals, counterfactuals: image batches (n, C, H, W).
        region: (n, H, W) booleans from `true_region`.

    Returns:
        (n,) float64 in [0, 1]; NaN where the counterfactual equals the original.
    """
    difference = unit_difference(originals, counterfactuals).sum(axis=1)
    truth = _region(region, difference.shape)
    return _ratio((difference * truth).sum(axis=(1, 2)), difference.sum(axis=(1, 2)))


def gt_l1(counterfactuals: ArrayInput, truths: ArrayInput) -> Floats:
    """Mean absolute difference of the counterfactual and the true one, per image, in [0, 1]."""
    mean: Floats = unit_difference(counterfactuals, truths).mean(axis=(1, 2, 3))
    return mean


def off_target(originals: ArrayInput, counterfactuals: ArrayInput, region: ArrayInput) -> Floats:
    """Mean absolute difference over the pixels outside the true region, per image.

    Args:
        originals, counterfactuals: image batches (n, C, H, W).
        region: (n, H, W) booleans from `true_region`.

    Returns:
        (n,) float64 in [0, 1]; NaN where the region covers the whole image.
    """
    difference = unit_difference(originals, counterfactuals).mean(axis=1)
    outside = ~_region(region, difference.shape)
    return _ratio((difference * outside).sum(axis=(1, 2)), outside.sum(axis=(1, 2)))


def _region(region: ArrayInput, shape: tuple[int, ...]) -> Booleans:
    array = as_array(region)
    check_ndim(array, "region", 3)
    if array.shape != shape or array.dtype != np.bool_:
        raise ValueError(f"region must be boolean with shape {shape}, not {array.shape}")
    return array


def _ratio(numerator: ArrayInput, denominator: ArrayInput) -> Floats:
    """Quotient per image, NaN where the denominator is 0; at most 1 in spite of rounding."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result.clip(max=1.0)
