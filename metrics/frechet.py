"""Fréchet distance between two sets of features (FID), with streaming moments.

d² = ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁Σ₂)

Reference: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium,
Eq. 6 (Heusel et al., 2017). Everything is float64. The trace of the matrix square root comes from
eigenvalues of a symmetric matrix, or from singular values where a set has no more images than
features: a general matrix square root is unstable for such singular products.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from vcebench.metrics.arrays import (
    ArrayInput,
    Floats,
    Integers,
    NotComputableError,
    as_array,
    as_count,
    as_floats,
    as_rows,
    check_ndim,
    check_same_shape,
)

CHUNK = 1024  # rows converted to float64 at a time


class FewImagesWarning(UserWarning):
    """Fewer images than feature dimensions: FID is strongly biased upwards; prefer KID."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and scatter of a set of feature vectors; sets merge without their features.

    Attributes:
        n: number of images.
        mean: (d,) float64.
        scatter: (d, d) float64, the sum of (x - mean)(x - mean)ᵀ.
    """

    n: int
    mean: Floats
    scatter: Floats

    @classmethod
    def empty(cls, dimension: int) -> "Moments":
        """Moments of no image."""
        return cls(0, np.zeros(dimension), np.zeros((dimension, dimension)))

    def update(self, features: ArrayInput) -> "Moments":
        """Moments with further features (n, d) added; NaN and infinity raise ValueError."""
        rows = as_floats(features, "features", 2)
        if len(rows) == 0:
            return self
        mean = rows.mean(axis=0)
        centred = rows - mean
        return self.merge(Moments(len(rows), mean, centred.T @ centred))

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets together.

        Reference: Updating Formulae and a Pairwise Algorithm for Computing Sample Variances,
        Eq. 2.1 (Chan, Golub and LeVeque, 1979), for vectors.
        """
        check_same_shape(self.mean, other.mean, "feature means")
        if self.n == 0 or other.n == 0:
            return self if other.n == 0 else other
        n = self.n + other.n
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter += np.outer(shift, shift * (self.n * other.n / n))
        return Moments(n, self.mean + shift * (other.n / n), scatter)

    @property
    def covariance(self) -> Floats:
        """Unbiased covariance (d, d). Raises NotComputableError for fewer than 2 images."""
        if self.n < 2:
            raise NotComputableError(f"a covariance needs 2 images, got {self.n}")
        return self.scatter / (self.n - 1)


def moments(features: ArrayInput, rows: Integers | None = None, chunk: int = CHUNK) -> Moments:
    """Moments of features (n, d), read in chunks: a memory map is never loaded whole.

    Args:
        features: (n, d), any floating type.
        rows: indices of the rows to use, or a mask (n,); all if None.
        chunk: rows converted to float64 at a time.

    >>> moments([[0.0, 1.0], [2.0, 3.0]]).mean.tolist()
    [1.0, 2.0]
    """
    array = as_array(features)
    check_ndim(array, "features", 2)
    rows = None if rows is None else as_rows(rows, len(array))
    as_count(chunk, "chunk")
    result = Moments.empty(array.shape[1])
    for start in range(0, len(array) if rows is None else len(rows), chunk):
        part = slice(start, start + chunk)
        result = result.update(array[part] if rows is None else array[rows[part]])
    return result


@dataclass(frozen=True, eq=False)
class Gaussian:
    """What the Fréchet distance needs to know of a set of n images with d features.

    Exactly one of the two is set, so that neither n x d nor a singular d x d is ever handled
    when the other form is smaller and exact.

    Attributes:
        n: number of images.
        mean: (d,) float64.
        covariance: (d, d) float64 if n > d, else None.
        deviations: (n, d) float64 if n <= d, rows (x - mean)/√(n-1), else None.
    """

    n: int
    mean: Floats
    covariance: Floats | None
    deviations: Floats | None

    @property
    def trace(self) -> float:
        """tr Σ."""
        if self.deviations is not None:
            return float(np.square(self.deviations).sum())
        assert self.covariance is not None
        return float(np.trace(self.covariance))

    def root(self) -> Floats:
        """R with RᵀR = Σ: the deviations (n, d), or a factor (d, d) of the covariance."""
        if self.deviations is not None:
            return self.deviations
        assert self.covariance is not None
        return _factor(self.covariance)


def gaussian(features: ArrayInput, rows: Integers | None = None, name: str = "images") -> Gaussian:
    """Gaussian fitted to features (n, d), optionally to the given rows only.

    Raises:
        NotComputableError: fewer than 2 rows; `name` says of what.
        ValueError: NaN or infinity among the features.
    """
    array = as_array(features)
    check_ndim(array, "features", 2)
    rows = None if rows is None else as_rows(rows, len(array))
    n = len(array) if rows is None else len(rows)
    if n < 2:
        raise NotComputableError(f"fewer than 2 {name} (n = {n})")
    if n > array.shape[1]:
        streamed = moments(array, rows)
        return Gaussian(n, streamed.mean, streamed.covariance, None)
    chosen = as_floats(array if rows is None else array[rows], "features", 2)
    mean = chosen.mean(axis=0)
    return Gaussian(n, mean, None, (chosen - mean) / np.sqrt(n - 1))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Squared Fréchet distance of two Gaussians, at least 0.

    >>> one = Gaussian(9, np.array([0.0]), np.array([[4.0]]), None)
    >>> two = Gaussian(9, np.array([3.0]), np.array([[1.0]]), None)
    >>> frechet_distance(one, two)  # 3² + (2 - 1)²
    10.0
    """
    check_same_shape(first.mean, second.mean, "feature means")
    shift = first.mean - second.mean
    value = shift @ shift + first.trace + second.trace - 2 * _trace_root_product(first, second)
    return max(0.0, float(value))  # rounding can leave -1e-13 for equal sets


def fid(
    originals: ArrayInput,
    counterfactuals: ArrayInput,
    counterfactual_rows: Integers | None = None,
) -> float:
    """FID between the originals (all) and the counterfactuals (flipped).

    Args:
        originals: features (n, d), any floating type, memory maps welcome.
        counterfactuals: features (m, d) from the same network.
        counterfactual_rows: indices of the counterfactuals to count, or a mask (m,); all if None.

    Warns:
        FewImagesWarning: fewer images than features in one of the sets.

    Raises:
        NotComputableError: fewer than 2 images in one of the sets.

    >>> fid([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    first = gaussian(originals, name="originals")
    second = gaussian(counterfactuals, counterfactual_rows, "counterfactuals")
    warn_if_few(min(first.n, second.n), len(first.mean))
    return frechet_distance(first, second)


def warn_if_few(n: int, dimension: int) -> None:
    """Warn with FewImagesWarning if a set has fewer images than features."""
    if n < dimension:
        text = f"{n} images for {dimension} features: FID is biased upwards, read KID beside it"
        warnings.warn(text, FewImagesWarning, stacklevel=3)


def _factor(covariance: Floats) -> Floats:
    """R (d, d) with RᵀR = covariance; constant features make it singular, hence the fallback."""
    try:
        return np.ascontiguousarray(np.linalg.cholesky(covariance).T)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        root: Floats = np.sqrt(values.clip(min=0))[:, None] * vectors.T
        return root


def _trace_root_product(first: Gaussian, second: Gaussian) -> float:
    """tr √(Σ₁Σ₂): root eigenvalues of R₁Σ₂R₁ᵀ, which are the singular values of R₁R₂ᵀ."""
    root = first.root()
    if first.deviations is None and second.covariance is not None:
        product = root @ second.covariance @ root.T
        eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
        return float(np.sqrt(eigenvalues.clip(min=0)).sum())
    return float(np.linalg.svd(root @ second.root().T, compute_uv=False).sum())
