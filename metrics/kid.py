"""Kernel distance (KID): unbiased at any number of images, hence the companion for small sets.

MMD² = mean of k(x, x') over x ≠ x' + mean of k(y, y') over y ≠ y' - 2 mean of k(x, y),
k(x, y) = (x·y/d + 1)³

Reference: Demystifying MMD GANs (Bińkowski et al., 2018). One estimate over the whole sets, no
subsets, so that it has no seed. It can come out below 0 when the distributions agree.
"""

import numpy as np

from vcebench.metrics.arrays import (
    ArrayInput,
    Floats,
    Integers,
    NotComputableError,
    as_array,
    as_floats,
    check_ndim,
)

CHUNK = 1024  # rows of each side of a block of the kernel matrix


def kid(
    originals: ArrayInput,
    counterfactuals: ArrayInput,
    counterfactual_rows: Integers | None = None,
    *,
    chunk: int = CHUNK,
) -> float:
    """Unbiased squared maximum mean discrepancy of two feature sets; may be slightly negative.

    Args:
        originals: features (n, d), any floating type, memory maps welcome.
        counterfactuals: features (m, d) from the same network.
        counterfactual_rows: indices of the counterfactuals to count; all if None.
        chunk: side of the blocks in which the kernel matrix is summed, in float64.

    Raises:
        NotComputableError: fewer than 2 images in one of the sets.
        ValueError: dimensions differ, or NaN or infinity among the features.

    >>> kid([[0.0], [1.0]], [[1.0], [2.0]])  # 1 + 27 - 2·(1 + 1 + 8 + 27)/4
    9.5
    """
    x, y = as_array(originals), as_array(counterfactuals)
    check_ndim(x, "features", 2)
    check_ndim(y, "features", 2)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features differ in dimension: {x.shape[1]} and {y.shape[1]}")
    rows_x = np.arange(len(x))
    rows_y = np.arange(len(y)) if counterfactual_rows is None else counterfactual_rows
    n, m = len(rows_x), len(rows_y)
    for name, count in (("originals", n), ("counterfactuals", m)):
        if count < 2:
            raise NotComputableError(f"fewer than 2 {name} (n = {count})")
    within_x = _within(x, rows_x, chunk) / (n * (n - 1))
    within_y = _within(y, rows_y, chunk) / (m * (m - 1))
    between = sum(
        float(_kernel(_block(x, rows_x, i, chunk), _block(y, rows_y, j, chunk)).sum())
        for i in range(0, n, chunk)
        for j in range(0, m, chunk)
    )
    return within_x + within_y - 2 * between / (n * m)


def _block(features: ArrayInput, rows: Integers, start: int, chunk: int) -> Floats:
    return as_floats(features[rows[start : start + chunk]], "features", 2)


def _kernel(x: Floats, y: Floats) -> Floats:
    """(n, m) values of the polynomial kernel of degree 3."""
    base = x @ y.T / x.shape[1] + 1
    product: Floats = base * base * base
    return product


def _within(features: ArrayInput, rows: Integers, chunk: int) -> float:
    """Sum of the kernel over ordered pairs of different images; the matrix is symmetric."""
    total = 0.0
    for i in range(0, len(rows), chunk):
        block = _block(features, rows, i, chunk)
        kernel = _kernel(block, block)
        total += float(kernel.sum() - np.trace(kernel))
        for j in range(i + chunk, len(rows), chunk):
            total += 2 * float(_kernel(block, _block(features, rows, j, chunk)).sum())
    return total
