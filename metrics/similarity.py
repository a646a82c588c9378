"""Cosine similarity of features; S3, the self-supervised similarity of ACE.

Reference: Adversarial Counterfactual Visual Explanations (Jeanneret, Simon and Jurie, 2023), with
SimSiam features: Exploring Simple Siamese Representation Learning (Chen and He, 2021).
"""

import numpy as np

from vcebench.metrics.arrays import (
    ArrayInput,
    Floats,
    as_array,
    as_floats,
    check_ndim,
    check_same_shape,
)

_CHUNK = 4096


def cosine(a: ArrayInput, b: ArrayInput) -> Floats:
    """Cosine of row i of `a` with row i of `b`.

    Args:
        a, b: feature vectors with shape (n, d), any floating type; not necessarily normalised.

    Returns:
        (n,) float64 in [-1, 1]; 0 for a zero vector, as in torch.

    Raises:
        ValueError: shapes differ, or NaN or infinity among the features.

    >>> cosine([[1.0, 0.0], [3.0, 4.0]], [[0.0, 2.0], [3.0, -4.0]]).tolist()
    [0.0, -0.28]
    """
    first, second = as_array(a), as_array(b)
    check_ndim(first, "features", 2)
    check_same_shape(first, second, "feature arrays")
    result = np.zeros(len(first))
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        x, y = as_floats(first[part], "features", 2), as_floats(second[part], "features", 2)
        norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        products = np.einsum("nd,nd->n", x, y)
        np.divide(products, norms, out=result[part], where=norms > 0)
    return result.clip(-1.0, 1.0)


def s3(originals: ArrayInput, counterfactuals: ArrayInput) -> Floats:
    """S3 per image: cosine of the representation of x and x_cf. Population: correct.

    Args:
        originals, counterfactuals: representations with shape (n, d).

    Returns:
        (n,) float64 in [-1, 1]; the metric is their mean.
    """
    return cosine(originals, counterfactuals)
