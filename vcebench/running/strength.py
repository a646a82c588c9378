"""How strongly a classifier guides, against what keeps an image as it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vcebench.methods.core.guidance import Guidance
from vcebench.running.worker import Worker

SEEN = (0.17, 6.9)
"""Smallest and largest ratio of the tasks of the embedded sets, whose units are calibrated."""

_AWAY = 0.02
"""Distance from the images, in units of [-1, 1], at which the gradients are taken."""


@torch.no_grad()
def ratio(worker: Worker, images: Sequence[Tensor]) -> float | None:
    """Length of the class gradient over that of the ℓ1 distance, the median over some images.

    Both as the first try weighs them, close to the images: at the images themselves the distance
    has no gradient. None where a method reads one of them not, or weighs it with 0.

    Args:
        images: uint8 with shape (3, H, W) each.
    """
    weights, rung = worker.guidance, worker.method.rungs(worker.guidance.lambda_class)[0]
    reads = {"lambda_class", "lambda_l1"} <= worker.method.weights
    if not images or not reads or weights.lambda_l1 == 0 or "lambda_class" not in rung:
        return None
    x = worker.walked(images)
    decision = worker.classifier.decide(x)
    guidance = Guidance(
        classifier=worker.guide,
        lambda_class=torch.full((len(x),), float(rung["lambda_class"]), device=x.device),
        source=decision.source,
        lambda_perceptual=0.0,
        lambda_l1=weights.lambda_l1,
        class_unit=worker.class_unit * weights.class_factor,
        use_logits=weights.use_logits,
    ).bind(x, decision.target)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    near = x + _AWAY * noise
    lengths = [
        gradient.flatten(1).norm(dim=1)
        for gradient in (guidance.class_gradient(near), guidance.l1_gradient(near))
    ]
    return float((lengths[0] / lengths[1]).median())


def strength(worker: Worker, images: Sequence[Tensor]) -> list[str]:
    """A line on the ratio, with a warning where it is beyond what the embedded sets have."""
    found = ratio(worker, images)
    if found is None:
        return []
    low, high = SEEN
    line = (
        f"the class gradient is {found:.3g} times as long as that of the distance "
        f"({low:g} to {high:g} on the embedded sets)"
    )
    if found > high:
        line += ": too strong, edits may be shredded; vcebench calibrate finds the unit"
    elif found < low:
        line += ": too weak, few images may flip; vcebench calibrate finds the unit"
    return [line]
