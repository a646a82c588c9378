"""Which other attributes changed: MNAC and CD, from an attribute oracle.

References: MNAC: Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations
(Rodríguez et al., 2021). CD: Diffusion Models for Counterfactual Explanations (Jeanneret, Simon
and Jurie, 2022).
"""

import numpy as np

from vcebench.metrics.arrays import (
    ArrayInput,
    Floats,
    Integers,
    NotComputableError,
    as_count,
    as_floats,
    as_numbers,
    check_same_shape,
)
from vcebench.metrics.bootstrap import RESAMPLES, Interval, bootstrap_interval

THRESHOLD = 0.5


def changes(originals: ArrayInput, counterfactuals: ArrayInput) -> Integers:
    """Change of every binarised attribute: counterfactual minus original.

    Args:
        originals, counterfactuals: oracle probabilities with shape (n, A), in [0, 1].

    Returns:
        (n, A) int64 with values -1, 0, 1; an attribute is present above 0.5.

    Raises:
        ValueError: shapes differ, or values are no probabilities.

    >>> changes([[0.2, 0.9, 0.5]], [[0.8, 0.1, 0.4]]).tolist()
    [[1, -1, 0]]
    """
    before = as_floats(originals, "probabilities", 2)
    after = as_floats(counterfactuals, "probabilities", 2)
    check_same_shape(before, after, "probabilities")
    for array in (before, after):
        if array.size and (array.min() < 0 or array.max() > 1):
            raise ValueError("oracle probabilities must lie in [0, 1]; were these logits?")
    return (after > THRESHOLD).astype(np.int64) - (before > THRESHOLD)


def mnac(originals: ArrayInput, counterfactuals: ArrayInput) -> Integers:
    """Number of attributes that changed, per image, the queried one included. Population: flipped.

    Args:
        originals, counterfactuals: oracle probabilities with shape (n, A), in [0, 1].

    Returns:
        (n,) int64; the metric is their mean.

    >>> mnac([[0.2, 0.9, 0.5]], [[0.8, 0.1, 0.4]]).tolist()
    [2]
    """
    changed: Integers = np.abs(changes(originals, counterfactuals)).sum(axis=1)
    return changed


def label_correlation(labels: ArrayInput, query: int) -> Floats:
    """Pearson correlation of every attribute's label with the queried one's: c_q of CD.

    Args:
        labels: (n, A) integer labels of the training split, two values (0/1 or -1/1).
        query: column of the queried attribute.

    Returns:
        (A,) float64 in [-1, 1]; 0 for an attribute that is constant.

    Raises:
        NotComputableError: fewer than 2 rows.
        ValueError: other labels, or no such column.

    >>> label_correlation([[0, 0, 1], [1, 0, 0]], query=0).tolist()
    [1.0, 0.0, -1.0]
    """
    array = _integers(labels)
    if not any(np.isin(array, values).all() for values in ((0, 1), (-1, 1))):
        raise ValueError("attribute labels must have two values, 0 and 1 or -1 and 1")
    return _correlation_of_all(array, query)


def change_correlation(changed: ArrayInput, query: int) -> Floats:
    """Pearson correlation of every attribute's change with the queried one's: c^M_q of CD.

    Args:
        changed: (n, A) integers from `changes`.
        query: column of the queried attribute.

    Returns:
        (A,) float64 in [-1, 1]; 0 where the attribute or the query changes alike in all images.

    Raises:
        NotComputableError: fewer than 2 images.
    """
    return _correlation_of_all(_changes(changed), query)


def cd(changed: ArrayInput, query: int, true_correlation: ArrayInput) -> float:
    """Correlation difference Σ_a |c_qa - c^M_qa|. Population: flipped.

    Args:
        changed: (n, A) integers from `changes`, both query directions together.
        query: column of the queried attribute.
        true_correlation: (A,) from `label_correlation` on the training split.

    Returns:
        A number of at least 0; 0 is best.

    Raises:
        NotComputableError: fewer than 2 images.

    >>> cd([[1, 1], [-1, -1], [1, -1], [-1, 1]], 0, [1.0, 0.25])  # |1 - 1| + |0.25 - 0|
    0.25
    """
    truth = as_floats(true_correlation, "true_correlation", 1)
    measured = change_correlation(changed, query)
    check_same_shape(truth, measured, "true and measured correlation")
    return float(np.abs(truth - measured).sum())


def cd_interval(
    changed: ArrayInput,
    query: int,
    true_correlation: ArrayInput,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Bootstrap interval of `cd` over images; None for fewer than 2 images."""
    array = _changes(changed)
    truth = as_floats(true_correlation, "true_correlation", 1)

    def statistic(counts: Integers) -> Floats:
        difference: Floats = np.abs(truth - _correlation(array, query, counts)).sum(axis=1)
        return difference

    return bootstrap_interval(statistic, len(array), resamples=resamples, seed=seed)


def _integers(values: ArrayInput) -> Integers:
    array = as_numbers(values, "attributes", 2)
    if not np.array_equal(array, np.round(array)):
        raise ValueError("attribute labels and changes must be integers")
    return array.astype(np.int64)


def _changes(values: ArrayInput) -> Integers:
    array = _integers(values)
    if array.size and np.abs(array).max() > 1:
        raise ValueError("changes of attributes must be -1, 0 or 1, as `changes` gives them")
    return array


def _correlation_of_all(array: Integers, query: int) -> Floats:
    if len(array) < 2:
        raise NotComputableError(f"a correlation needs 2 images, got {len(array)}")
    once = np.ones((1, len(array)), dtype=np.int64)
    correlation: Floats = _correlation(array, query, once)[0]
    return correlation


def _correlation(values: Integers, query: int, counts: Integers) -> Floats:
    """Correlation with column `query` when image i occurs counts[:, i] times: (b, n) -> (b, A).

    Sums of integers are exact in float64, so a constant column has exactly zero variance.
    """
    if as_count(query, "query", 0) >= values.shape[1]:
        raise ValueError(f"query must be a column index below {values.shape[1]}, not {query}")
    x, weights = values.astype(np.float64), counts.astype(np.float64)
    n = weights.sum(axis=1, keepdims=True)
    total = weights @ x
    variance = n * (weights @ (x * x)) - total**2
    covariance = n * (weights @ (x * x[:, [query]])) - total * total[:, [query]]
    # Two roots rather than the root of the product, whose integers would outgrow float64.
    scale = np.sqrt(variance) * np.sqrt(variance[:, [query]])
    correlation: Floats = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    return correlation
