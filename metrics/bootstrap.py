"""Percentile bootstrap over images (or over halvings): seeded and vectorised.

Reference: An Introduction to the Bootstrap, chapter 13 (Efron and Tibshirani, 1993).
"""

from collections.abc import Callable, Iterator

import numpy as np

from vcebench.metrics.arrays import ArrayInput, Floats, Integers, as_count, as_floats

Interval = tuple[float, float]

RESAMPLES = 1000
LEVEL = 0.95
_BLOCK_ELEMENTS = 2_000_000  # counts held at a time: 16 MB


def resample_counts(n: int, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[Integers]:
    """How often each of `n` images is drawn in each resample, in blocks (b, n) of int64.

    The blocks hold `resamples` rows together; each row sums to `n`. The same arguments give the
    same counts. Raises ValueError for numbers below 1, or a seed below 0.
    """
    as_count(n, "n")
    as_count(resamples, "resamples")
    rng = np.random.default_rng(as_count(seed, "seed", 0))
    rows = max(1, _BLOCK_ELEMENTS // n)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.int64)


def bootstrap_interval(
    statistic: Callable[[Integers], Floats],
    n: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval | None:
    """Percentile interval of a statistic of `n` images.

    Args:
        statistic: counts (b, n), how often each image occurs in each resample -> values (b,).
        n: number of images.
        resamples: number of resamples.
        seed: seed of the resampling.
        level: coverage, 0.95 in the protocol.

    Returns:
        (low, high), or None for fewer than 2 images, whose spread cannot be told.

    Raises:
        ValueError: a number below 1, a seed below 0, or a level outside of (0, 1).
    """
    as_count(n, "n", 0)
    as_count(resamples, "resamples")
    as_count(seed, "seed", 0)
    if not isinstance(level, float) or not 0 < level < 1:
        raise ValueError(f"level is {level!r}; use a number between 0 and 1, such as 0.95")
    if n < 2:
        return None
    values = np.concatenate([statistic(c) for c in resample_counts(n, resamples, seed)])
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def mean_interval(
    values: ArrayInput,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval | None:
    """Percentile interval of the mean of per-image values (n,), the same for any image order.

    >>> mean_interval([0.0, 1.0, 1.0, 1.0])
    (0.25, 1.0)
    """
    # Sorted, because resampling draws by position: the order of the images must not matter.
    ordered = np.sort(as_floats(values, "values", 1))
    n = len(ordered)
    return bootstrap_interval(
        lambda counts: counts @ ordered / n, n, resamples=resamples, seed=seed, level=level
    )
