"""Which images a metric counts."""

from collections.abc import Mapping
from typing import Literal

from vcebench.metrics.arrays import ArrayInput, Booleans, as_booleans, check_same_shape

Population = Literal["all", "flipped", "correct", "correct and flipped"]

EMPTY_REASON: Mapping[Population, str] = {
    "all": "no image",
    "flipped": "no flipped image",
    "correct": "no correctly classified image",
    "correct and flipped": "no correctly classified and flipped image",
}


def populations(flipped: ArrayInput, correct: ArrayInput) -> dict[Population, Booleans]:
    """Membership of every image in every population.

    Args:
        flipped: (n,) booleans: the stored counterfactual is classified as the target.
        correct: (n,) booleans: the input was classified correctly.

    Returns:
        Population name -> (n,) booleans.

    >>> members = populations([True, True, False], [True, False, True])
    >>> {name: int(mask.sum()) for name, mask in members.items()}
    {'all': 3, 'flipped': 2, 'correct': 2, 'correct and flipped': 1}
    """
    is_flipped = as_booleans(flipped, "flipped")
    is_correct = as_booleans(correct, "correct")
    check_same_shape(is_flipped, is_correct, "flipped and correct")
    return {
        "all": is_flipped | True,
        "flipped": is_flipped,
        "correct": is_correct,
        "correct and flipped": is_flipped & is_correct,
    }
