"""Did the decision change? Flip rate and its two companions.

Reference: Diffusion Models for Counterfactual Explanations (Jeanneret, Simon and Jurie, 2022).
Each function returns one boolean per image; the metric is their mean in percent, over all images.
"""

from vcebench.metrics.arrays import (
    ArrayInput,
    Booleans,
    as_classes,
    as_floats,
    check_same_shape,
)


def fr(margin: ArrayInput) -> Booleans:
    """Flipped: the target's logit exceeds the source's on the stored counterfactual.

    Args:
        margin: (n,) logit of the target minus logit of the source; for a binary classifier the
            logit, with its sign turned where the target is class 0.

    Returns:
        (n,) booleans; a tie is not a flip.

    >>> fr([0.3, 0.0, -2.0]).tolist()
    [True, False, False]
    """
    return as_floats(margin, "margin", 1) > 0


def fr_top1(prediction: ArrayInput, target: ArrayInput) -> Booleans:
    """The stricter flip of pair tasks: the target wins among *all* classes.

    Args:
        prediction: (n,) class with the largest logit on the stored counterfactual.
        target: (n,) target class.

    >>> fr_top1([8, 3, 5], [8, 8, 8]).tolist()
    [True, False, False]
    """
    return _agrees(prediction, target)


def oracle_fr(prediction: ArrayInput, target: ArrayInput) -> Booleans:
    """An independent network sees the target too; an adversarial pattern does not fool it.

    Args:
        prediction: (n,) the oracle's class for the stored counterfactual.
        target: (n,) target class.

    >>> oracle_fr([1, 0], [1, 1]).tolist()
    [True, False]
    """
    return _agrees(prediction, target)


def _agrees(prediction: ArrayInput, target: ArrayInput) -> Booleans:
    predicted, wanted = as_classes(prediction, "prediction"), as_classes(target, "target")
    check_same_shape(predicted, wanted, "prediction and target")
    agrees: Booleans = predicted == wanted
    return agrees
