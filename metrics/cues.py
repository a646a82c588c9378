"""Does an explanation edit what the classifier uses? For classifiers with a planted shortcut.

Population: flipped. Images are stored uint8 batches (n, C, H, W) (floating point in [0, 1] is
accepted). NaN marks an image for which a metric has no value. Definitions are this benchmark's own;
the idea of a cue planted by whoever asks is that of Yang & Kim, Benchmarking Attribution Methods
with Relative Feature Importance, 2019, and Adebayo et al., Debugging Tests for Model Explanations,
NeurIPS 2020.
"""

import numpy as np

from vcebench.metrics.arrays import (
    ArrayInput,
    Booleans,
    Floats,
    as_floats,
    as_numbers,
    check_same_shape,
    unit_difference,
)
from vcebench.metrics.causal import gt_precision


def cue_recall(before: ArrayInput, after: ArrayInput) -> Booleans:
    """Whether an independent network sees the cue come or go, per image.

    Args:
        before, after: (n,) its probabilities of the cue, on the input and on the counterfactual.
    """
    first, second = as_floats(before, "before", 1), as_floats(after, "after", 1)
    check_same_shape(first, second, "before and after")
    changed: Booleans = (first > 0.5) != (second > 0.5)
    return changed


def cue_precision(originals: ArrayInput, counterfactuals: ArrayInput, region: ArrayInput) -> Floats:
    """Share of the summed absolute difference that lies inside the cue's true region, per image.

    Args:
        originals, counterfactuals: image batches (n, C, H, W).
        region: (n, H, W) booleans, where setting the cue alone to its opposite changes the input.

    Returns:
        (n,) float64 in [0, 1]; NaN where the counterfactual equals the original.
    """
    return gt_precision(originals, counterfactuals, region)


def progress(originals: ArrayInput, counterfactuals: ArrayInput, truths: ArrayInput) -> Floats:
    """How far an edit goes along a true intervention, per image.

    The coefficient of the edit's projection onto the intervention's: ⟨x_cf - x, t - x⟩ / ‖t - x‖²,
    0 where it is negative. 1 is the whole intervention; edits elsewhere count for nothing.

    Args:
        originals, counterfactuals: image batches (n, C, H, W).
        truths: the inputs after the intervention, alike.

    Returns:
        (n,) float64, at least 0; NaN where the intervention changes nothing.
    """
    for other in (counterfactuals, truths):  # of one shape, one type and one range
        unit_difference(originals, other)
    x, x_cf, t = (as_floats(a, "images", 4) for a in (originals, counterfactuals, truths))
    axes = tuple(range(1, x.ndim))
    length = ((t - x) ** 2).sum(axis=axes)
    along = ((x_cf - x) * (t - x)).sum(axis=axes)
    result = np.full(len(x), np.nan)
    np.divide(along, length, out=result, where=length > 0)
    return result.clip(min=0)


def share_agreement(cue: ArrayInput, other: ArrayInput, cue_share: float) -> Floats:
    """Agreement of the edit's share of the cue with the cue's known causal share, per image.

    1 - |a_cue/(a_cue + a_other) - c| / max(c, 1 - c), a from `progress`: 1 if both causes are
    edited as much as the classifier uses them, 0 if only the less important one is.

    Args:
        cue, other: (n,) how far the edit goes along the interventions on the two causes.
        cue_share: c, share of the cue in what the classifier uses, in (0, 1).

    Returns:
        (n,) float64 in [0, 1]; NaN where the edit goes along neither, or a cause need not change.
    """
    first, second = as_numbers(cue, "cue", 1), as_numbers(other, "other", 1)
    check_same_shape(first, second, "cue and other")
    if (first < 0).any() or (second < 0).any():
        raise ValueError("cue and other must not be negative, as `progress` gives them")
    if not isinstance(cue_share, float | int) or not 0 < cue_share < 1:
        raise ValueError(f"cue_share is {cue_share!r}; it is a share between 0 and 1")
    total = first + second
    share = np.full(len(first), np.nan)
    np.divide(first, total, out=share, where=total > 0)
    agreement: Floats = 1 - np.abs(share - cue_share) / max(cue_share, 1 - cue_share)
    return agreement.clip(min=0)
