"""sigma_L: how different the counterfactuals of one image are between seeds. Population: all.

Reference: Diffusion Models for Counterfactual Explanations (Jeanneret, Simon and Jurie, 2022).
The mean over pairs, 2/(n(n-1)) Σ LPIPS, as the published code computes it; the formula printed in
the paper has 2/(n(n+1)), which is 2/3 of this for 5 seeds.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypeVar

import numpy as np

from vcebench.metrics.arrays import ArrayInput, Floats, NotComputableError, as_count, as_floats

SEEDS = 5

Images = TypeVar("Images")


def pairwise_distances(
    runs: Sequence[Images], distance: Callable[[Images, Images], ArrayInput]
) -> Floats:
    """Distances of the counterfactuals of every two seeds.

    Args:
        runs: one batch of counterfactuals per seed, the same n images in the same order.
        distance: two batches -> (n,) distances, for example LPIPS.

    Returns:
        (n, pairs) float64; pairs in the order (0, 1), (0, 2), …, (1, 2), …

    Raises:
        NotComputableError: fewer than 2 runs.
    """
    if len(runs) < 2:
        raise NotComputableError(f"needs --seeds {SEEDS}")
    columns = [as_floats(distance(a, b), "distances", 1) for a, b in combinations(runs, 2)]
    return np.stack(columns, axis=1)


def pairs_of_matrix(matrices: ArrayInput) -> Floats:
    """Distances (n, S, S) between S seeds -> (n, S(S-1)/2), as `pairwise_distances` orders them."""
    array = as_floats(matrices, "distance matrices", 3)
    if array.shape[1] != array.shape[2]:
        raise ValueError(f"distance matrices must be square, not {array.shape[1:]}")
    rows, columns = np.triu_indices(array.shape[1], k=1)
    return array[:, rows, columns]


def sigma_l(pairs: ArrayInput, seeds: int = SEEDS) -> Floats:
    """Mean over the pairs of seeds, per image.

    Args:
        pairs: (n, S(S-1)/2) distances from `pairwise_distances` or `pairs_of_matrix`.
        seeds: S, 5 in the protocol.

    Returns:
        (n,) float64; the metric is their mean.

    Raises:
        NotComputableError: the pairs are not those of `seeds` seeds, or there is 1 seed.

    >>> sigma_l([[0.1, 0.2, 0.6]], seeds=3).round(3).tolist()
    [0.3]
    """
    array = as_floats(pairs, "pair distances", 2)
    if as_count(seeds, "seeds") < 2 or array.shape[1] != seeds * (seeds - 1) // 2:
        raise NotComputableError(f"needs --seeds {max(seeds, SEEDS)}")
    mean: Floats = array.mean(axis=1)
    return mean
