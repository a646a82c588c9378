"""COUT, the counterfactual transition score.

The pixels of the counterfactual are inserted into the original, those that changed most first, in
about 50 steps, while the classifier watches: COUT = AUC of p(target) - AUC of p(source).

Reference: Cycle-Consistent Counterfactuals by Latent Transformations (Khorram and Fuxin, 2022),
with the conventions of the code published with Adversarial Counterfactual Visual Explanations
(Jeanneret, Simon and Jurie, 2023). Population: correct.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vcebench.metrics.arrays import Floats, as_count

Probabilities = Callable[[Tensor], Tensor]

STEPS = 50
BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class Transition:
    """Result of `cout` for n images and P curve points.

    Attributes:
        fractions: (P,) share of pixels inserted; not capped, so the last one can exceed 1.
        source: (n, P) probability of the source class.
        target: (n, P) probability of the target class.
        scores: (n,) COUT per image, about in [-1, 1]; the metric is their mean.
    """

    fractions: Floats
    source: Floats
    target: Floats
    scores: Floats


def block_size(pixels: int, steps: int = STEPS) -> int:
    """Pixels inserted at a time: max(1, floor(H·W/steps)).

    >>> block_size(128 * 128)
    327
    """
    return max(1, pixels // steps)


def change_map(originals: Tensor, counterfactuals: Tensor) -> Tensor:
    """Absolute difference summed over channels: (n, C, H, W) -> (n, H, W).

    int64 for uint8 images, so that equal changes are exactly equal; else float64.
    """
    exact = torch.float64 if originals.is_floating_point() else torch.int64
    return (counterfactuals.to(exact) - originals.to(exact)).abs().sum(dim=1)


@torch.no_grad()
def cout(
    originals: Tensor,
    counterfactuals: Tensor,
    source: Tensor,
    target: Tensor,
    probabilities: Probabilities,
    *,
    steps: int = STEPS,
    batch_size: int = BATCH_SIZE,
) -> Transition:
    """Counterfactual transition of every image.

    Args:
        originals, counterfactuals: (n, C, H, W), the same type. Give the stored uint8 images:
            their changes tie exactly, and ties are inserted in row-major order.
        source, target: (n,) int64 classes; binary: the predicted class and the other one.
        probabilities: images of that type (b, C, H, W) -> probabilities (b, K), K = 2 for binary.
            It does any conversion and moves between devices.
        steps: steps of the transition.
        batch_size: images given to `probabilities` at a time.

    Returns:
        Transition with curves and scores, float64.

    Raises:
        ValueError: shapes, types or lengths disagree, classes are none of those of
            `probabilities`, or these leave [0, 1].
    """
    _check(originals, counterfactuals, source, target)
    as_count(steps, "steps")
    as_count(batch_size, "batch_size")
    pixels = originals.shape[2] * originals.shape[3]
    step = block_size(pixels, steps)
    points = -(-pixels // step) + 1
    change = change_map(originals, counterfactuals).flatten(1)
    order = change.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1).view(-1, 1, *originals.shape[2:])
    # Once every changed pixel is in, further points show the same image: evaluate it once.
    last = -(-(change > 0).sum(dim=1) // step)
    classes = torch.stack([source, target], dim=1).to(originals.device)
    curves = torch.zeros(len(originals), points, 2, dtype=torch.float64, device=originals.device)
    shown = torch.arange(points, device=originals.device)
    for chunk in torch.split((shown <= last[:, None]).nonzero(), batch_size):
        image, point = chunk.unbind(dim=1)
        inserted = rank[image] < (point * step).view(-1, 1, 1, 1)
        batch = torch.where(inserted, counterfactuals[image], originals[image])
        predicted = _checked(probabilities(batch), len(batch), classes).to(originals.device)
        curves[image, point] = predicted.gather(1, classes[image]).double()
    reached = torch.minimum(shown, last[:, None])
    curves = curves.gather(1, reached[:, :, None].expand(-1, -1, 2)).cpu()
    source_curve: Floats = curves[:, :, 0].numpy()
    target_curve: Floats = curves[:, :, 1].numpy()
    scores = area(target_curve, step / pixels) - area(source_curve, step / pixels)
    return Transition(np.arange(points) * step / pixels, source_curve, target_curve, scores)


def area(curves: Floats, spacing: float) -> Floats:
    """Trapezoid area under curves (n, P) whose points are `spacing` apart -> (n,).

    The last block may be partial but counts as a whole one, as published: a perfect score is
    slightly above 1 (1.018 at 128x128).

    >>> area(np.array([[0.0, 1.0, 1.0]]), 0.5).tolist()
    [0.75]
    """
    total: Floats = (curves.sum(axis=1) - (curves[:, 0] + curves[:, -1]) / 2) * spacing
    return total


def _checked(predicted: Tensor, count: int, classes: Tensor) -> Tensor:
    """Refuse what are no probabilities (b, K) of all classes asked about."""
    if predicted.ndim != 2 or len(predicted) != count:
        raise ValueError(f"probabilities must have shape ({count}, K), not {predicted.shape}")
    if int(classes.max()) >= predicted.shape[1]:
        raise ValueError(f"class {int(classes.max())} is beyond {predicted.shape[1]} classes")
    if not bool(((predicted >= 0) & (predicted <= 1 + 1e-3)).all()):
        raise ValueError("probabilities must lie in [0, 1]; were these logits?")
    return predicted


def _check(originals: Tensor, counterfactuals: Tensor, source: Tensor, target: Tensor) -> None:
    for tensor in (originals, counterfactuals, source, target):
        if not isinstance(tensor, Tensor):
            raise ValueError(f"give torch tensors, not {type(tensor).__name__}")
    if originals.ndim != 4 or originals.shape != counterfactuals.shape:
        raise ValueError(
            "originals and counterfactuals must share a shape (n, C, H, W), not "
            f"{tuple(originals.shape)} and {tuple(counterfactuals.shape)}"
        )
    if originals.dtype != counterfactuals.dtype:
        raise ValueError("originals and counterfactuals must have the same type")
    if source.shape != (len(originals),) or target.shape != (len(originals),):
        raise ValueError("source and target must hold one class per image")
    for classes in (source, target):
        if classes.is_floating_point() or bool((classes < 0).any()):
            raise ValueError("source and target must hold class numbers, whole and from 0 on")
