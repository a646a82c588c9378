"""Is it still the same face? FVA and FS from identity embeddings.

References: FVA: VGGFace2: A Dataset for Recognising Faces across Pose and Age (Cao et al., 2018),
used as in Diffusion Models for Counterfactual Explanations (Jeanneret, Simon and Jurie, 2022).
FS: Adversarial Counterfactual Visual Explanations (Jeanneret, Simon and Jurie, 2023).
"""

from vcebench.metrics.arrays import ArrayInput, Booleans, Floats
from vcebench.metrics.similarity import cosine

THRESHOLD = 0.5


def fs(originals: ArrayInput, counterfactuals: ArrayInput) -> Floats:
    """Face similarity per image: cosine of the identity embeddings. Population: flipped.

    Args:
        originals, counterfactuals: embeddings with shape (n, d).

    Returns:
        (n,) float64 in [-1, 1]; the metric is their mean.

    >>> fs([[1.0, 0.0]], [[0.6, 0.8]]).tolist()
    [0.6]
    """
    return cosine(originals, counterfactuals)


def fva(originals: ArrayInput, counterfactuals: ArrayInput) -> Booleans:
    """Face verification per image: embedding cosine above 0.5. Population: flipped.

    Args:
        originals, counterfactuals: embeddings with shape (n, d).

    Returns:
        (n,) booleans; the metric is their mean in percent.

    >>> fva([[1.0, 0.0], [1.0, 0.0]], [[0.6, 0.8], [0.0, 1.0]]).tolist()
    [True, False]
    """
    return verified(fs(originals, counterfactuals))


def verified(similarity: Floats) -> Booleans:
    """FVA from face similarities (n,) that are already there: strictly above 0.5."""
    return similarity > THRESHOLD
