"""Does a method pass on anything from the classifier? Counterfactuals for another one must differ.

Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018: an explanation that stays the same
when the model's weights, or the labels it was trained on, are randomised explains neither. Images
are stored uint8 batches (n, C, H, W) (floating point in [0, 1] is accepted). NaN marks an image
without a value.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vcebench.metrics.arrays import ArrayInput, Floats, unit_difference


def edit_difference(originals: ArrayInput, first: ArrayInput, second: ArrayInput) -> Floats:
    """How much two counterfactuals of an image differ, relative to how much they change it.

    Σ|a - b| / (Σ|a - x| + Σ|b - x|): 0 for equal counterfactuals, 1 (by the triangle inequality the
    largest value) where no part of one edit is in the other.

    Args:
        originals, first, second: the inputs and their counterfactuals for two classifiers.

    Returns:
        (n,) float64 in [0, 1]; NaN where neither changes anything.
    """
    apart = _total(first, second)
    size = _total(originals, first) + _total(originals, second)
    result = np.full(len(apart), np.nan)
    np.divide(apart, size, out=result, where=size > 0)
    return result.clip(max=1.0)


def edit_rank_correlation(originals: ArrayInput, first: ArrayInput, second: ArrayInput) -> Floats:
    """Spearman's correlation of where two counterfactuals change an image, per image.

    Adebayo et al.'s similarity of absolute-valued maps, on |x_cf - x| averaged over channels.

    Args:
        originals, first, second: see `edit_difference`.

    Returns:
        (n,) float64 in [-1, 1]; NaN where a map is constant.
    """
    # Rounded, because sums of three numbers that should tie differ in the last bit.
    maps = [unit_difference(originals, other).mean(axis=1).round(9) for other in (first, second)]
    ranks = [np.stack([rankdata(one.ravel()) for one in each]) for each in maps]
    return correlation(*ranks)


def correlation(first: Floats, second: Floats) -> Floats:
    """Pearson's correlation of the rows of two arrays (n, m); NaN where a row is constant.

    >>> correlation(np.array([[1.0, 2, 3]]), np.array([[2.0, 4, 6]]))
    array([1.])
    """
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (first, second))
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    result: npt.NDArray[np.float64] = np.full(len(a), np.nan)
    np.divide((a * b).sum(axis=1), size, out=result, where=size > 0)
    return result.clip(-1, 1)


def _total(a: ArrayInput, b: ArrayInput) -> Floats:
    total: Floats = unit_difference(a, b).sum(axis=(1, 2, 3))
    return total
