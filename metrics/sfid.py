"""Split FID (ACE): no counterfactual is compared with its own original.

Reference: Adversarial Counterfactual Visual Explanations, section 5 "Evaluation"
(Jeanneret, Simon and Jurie, 2023). Elsewhere "sFID" means spatial FID, hence "sFID (split)".
"""

from collections.abc import Sequence

import numpy as np

from vcebench.metrics.arrays import (
    ArrayInput,
    Floats,
    Integers,
    NotComputableError,
    as_array,
    as_booleans,
    as_count,
    check_ndim,
)
from vcebench.metrics.frechet import frechet_distance, gaussian, warn_if_few

HALVINGS = 10


def halves(image_ids: Sequence[str], halving: int, seed: int = 0) -> tuple[Integers, Integers]:
    """Random halves of a data set, as two arrays of row indices (sorted, equal size).

    The halves depend on the set of ids, `halving` and `seed`, not on the order in which the images
    stand. An odd number of images leaves one out.

    Raises:
        ValueError: an id occurs twice or is no word, or a number is below 0.
    """
    if isinstance(image_ids, str) or not all(isinstance(id, str) for id in image_ids):
        raise ValueError("image ids must be a list of words")
    if len(set(image_ids)) != len(image_ids):
        raise ValueError("image ids must be unique")
    as_count(halving, "halving", 0)
    as_count(seed, "seed", 0)
    by_id = np.array(sorted(range(len(image_ids)), key=image_ids.__getitem__), dtype=np.int64)
    shuffled = by_id[np.random.default_rng((seed, halving)).permutation(len(by_id))]
    half = len(by_id) // 2
    return np.sort(shuffled[:half]), np.sort(shuffled[len(by_id) - half :])


def split_fid(
    image_ids: Sequence[str],
    originals: ArrayInput,
    counterfactuals: ArrayInput,
    flipped: ArrayInput,
    *,
    halvings: int = HALVINGS,
    seed: int = 0,
) -> Floats:
    """Split FID of every halving: mean of FID(originals A, counterfactuals B) and (B, A).

    The features are extracted once, by the caller; every halving only selects rows.

    Args:
        image_ids: n unique ids.
        originals: (n, d) features of the originals, memory maps welcome.
        counterfactuals: (n, d) features of the counterfactuals, row for row; rows of images that
            did not flip are never read.
        flipped: (n,) booleans.
        halvings: number of random halvings.
        seed: seed of the halvings.

    Returns:
        (halvings,) float64; the metric is their mean, its interval a bootstrap over them.

    Warns:
        FewImagesWarning: fewer images than features in some half.

    Raises:
        NotComputableError: fewer than 2 originals or flipped counterfactuals in some half.
    """
    x, x_cf = as_array(originals), as_array(counterfactuals)
    is_flipped = as_booleans(flipped, "flipped")
    check_ndim(x, "features", 2)
    check_ndim(x_cf, "features", 2)
    as_count(halvings, "halvings")
    as_count(seed, "seed", 0)
    if not len(image_ids) == len(x) == len(x_cf) == len(is_flipped):
        raise ValueError("ids, both feature arrays and flipped must have one row per image")
    pairs = [halves(image_ids, halving, seed) for halving in range(halvings)]
    # Checked for all halvings first: the work of nine is not thrown away at the tenth.
    fewest = min(int(is_flipped[half].sum()) for pair in pairs for half in pair)
    if fewest < 2:
        raise NotComputableError("fewer than 2 flipped counterfactuals in a half")
    warn_if_few(fewest, x.shape[1])
    return np.array([_halving_value(x, x_cf, is_flipped, a, b) for a, b in pairs])


def _halving_value(
    x: ArrayInput, x_cf: ArrayInput, is_flipped: ArrayInput, a: Integers, b: Integers
) -> float:
    """Mean of the two crossed distances of one halving."""

    def crossed(originals: Integers, others: Integers) -> float:
        flipped_others = others[is_flipped[others]]
        return frechet_distance(
            gaussian(x, originals, "originals in a half"),
            gaussian(x_cf, flipped_others, "flipped counterfactuals in a half"),
        )

    return (crossed(a, b) + crossed(b, a)) / 2
