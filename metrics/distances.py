"""How far the image moved: pixel distances on the scale [0, 1]. Population: flipped.

References: `l1`: Diffusion Models for Counterfactual Explanations (Jeanneret, Simon and Jurie,
2022). The vector norms: From Visual Explanations to Counterfactual Explanations with Latent
Diffusion (Luu et al., 2025).

All take image batches with shape (n, C, H, W), both uint8 or both floating point in [0, 1], and
return (n,) float64, never negative.
"""

from vcebench.metrics.arrays import ArrayInput, Floats, unit_difference


def l1(originals: ArrayInput, counterfactuals: ArrayInput) -> Floats:
    """Mean absolute difference per image, in [0, 1].

    >>> l1([[[[0.0, 0.5]]]], [[[[1.0, 0.5]]]]).tolist()
    [0.5]
    """
    mean: Floats = unit_difference(originals, counterfactuals).mean(axis=(1, 2, 3))
    return mean


def l1_norm(originals: ArrayInput, counterfactuals: ArrayInput) -> Floats:
    """ℓ1 norm of the difference vector: the sum of absolute differences."""
    return _norm(originals, counterfactuals, 1.0)


def l15_norm(originals: ArrayInput, counterfactuals: ArrayInput) -> Floats:
    """ℓ1.5 norm of the difference vector: (Σ|d|^1.5)^(2/3)."""
    return _norm(originals, counterfactuals, 1.5)


def l2_norm(originals: ArrayInput, counterfactuals: ArrayInput) -> Floats:
    """ℓ2 norm of the difference vector: √Σd².

    >>> l2_norm([[[[0.0, 0.0]]]], [[[[0.6, 0.8]]]]).tolist()
    [1.0]
    """
    return _norm(originals, counterfactuals, 2.0)


def _norm(originals: ArrayInput, counterfactuals: ArrayInput, order: float) -> Floats:
    powers = unit_difference(originals, counterfactuals) ** order
    norm: Floats = powers.sum(axis=(1, 2, 3)) ** (1 / order)
    return norm
