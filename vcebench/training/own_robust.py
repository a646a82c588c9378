"""A robust classifier of somebody's own images: `vcebench train robust --config FILE.toml`."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.data.folder import FolderSet
from vcebench.data.listed import UNLABELLED
from vcebench.errors import UserError
from vcebench.settings.custom import CustomTask
from vcebench.training import augment
from vcebench.training.folder import look_through, together
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part, train_part
from vcebench.training.robust import Besieged, ascend, class_losses
from vcebench.training.robustness import robustness

HELD_OUT = 10
"""One image in so many is not trained on; robustness is measured there."""

MOST = 512
"""Held-out images that are attacked, at most."""

WIDTHS = (24, 32, 64, 96, 128)
"""Channels of the stages; there are as many as leave at least 4 pixels a side, but two or more."""


@dataclass(frozen=True)
class RobustPlan:
    """How long a robust classifier is trained, and against what.

    Attributes:
        epsilon: radius of the L2 ball on [0, 1], over all channels; None takes `usual_radius`.
        flip: whether a mirrored image is as good as the image.
    """

    steps: int = 1500
    batch: int = 32
    epsilon: float | None = None
    flip: bool = True
    seed: int = 0


def usual_radius(height: int, width: int) -> float:
    """ε = 3 at 224 pixels a side (Madry's ImageNet classifiers), at the same change of a value.

    >>> usual_radius(224, 224), round(usual_radius(64, 64), 2)
    (3.0, 0.86)
    """
    return 3.0 * math.sqrt(height * width) / 224


def train_own_robust(
    task: CustomTask,
    output: Path,
    plan: RobustPlan,
    restart: bool = False,
    progress: bool = True,
    skip_bad: bool = False,
) -> Path:
    """Train a robust classifier on the labelled images of a task; returns the network file.

    Its outputs are the task's classes, in their order. Every tenth image is held out; the card says
    how often the network is right on those, without and with an attack.

    Args:
        output: folder of robust.safetensors; the training state lies in its folder `state`.
        restart, progress, skip_bad: see `vcebench.training.folder.train_own`.

    Raises UserError: unlabelled images, fewer than two classes, or nothing to measure with.
    """
    if find_spec("art") is None:
        raise UserError(
            "robustness is measured with the Adversarial Robustness Toolbox: "
            "pip install 'vcebench[robust]'"
        )
    if plan.epsilon is not None and not (math.isfinite(plan.epsilon) and plan.epsilon > 0):
        raise UserError(f"epsilon is {plan.epsilon}; use a length above 0")
    images = task.open()
    usable, digests = look_through(images, skip_bad, labelled=True)
    for line in images.notes():
        print(line, file=sys.stderr)
    if any(images.labels[k] == UNLABELLED for k in usable):
        raise UserError(
            f"{images.root} holds images without a label; sort them into class folders, or name "
            "them in a CSV: labels = … in [data]"
        )
    held_out = usable[HELD_OUT - 1 :: HELD_OUT]
    kept = [k for k in usable if k not in set(held_out)]
    if not held_out or len({images.labels[k] for k in kept}) < 2:
        raise UserError(
            f"there are {len(usable)} images to use; it takes at least {HELD_OUT}, of two classes"
        )
    part = _part(images, kept, held_out, together(digests), plan)
    return train_part("own", part, output, restart=restart, progress=progress)


def _part(
    images: FolderSet, kept: Sequence[int], held_out: Sequence[int], digest: str, plan: RobustPlan
) -> Part:
    height, width = images.size
    epsilon = plan.epsilon or usual_radius(height, width)
    classes = len(images.task.labels)
    stages = min(len(WIDTHS), max(2, int(math.log2(max(min(height, width) // 4, 1)))))
    settings = LoopSettings(
        steps=plan.steps, seed=plan.seed, learning_rate=3e-3, weight_decay=1e-4, ema=0.995
    )

    def open_data() -> Loss:
        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            assert isinstance(network, Besieged)
            x, labels = _batch(images, kept, plan, generator)
            radius = network.radius()
            attacked = ascend(network, x, labels, class_losses, radius, generator)
            return class_losses(network(attacked), labels).mean()

        return loss

    def measure(network: nn.Module) -> dict[str, Any]:
        some = [images[k] for k in held_out[:MOST]]
        pictures = torch.stack([one.image for one in some])
        labels = torch.tensor([one.label for one in some])
        return {"held_out": len(some), **robustness(network, pictures, labels, epsilon)}

    return Part(
        name="robust",
        title="robust classifier of one's own images",
        summary=(
            f"Trained on {len(kept)} images of {height}x{width} pixels in {classes} classes, "
            f"adversarially in L2 balls of radius {epsilon:.4g} on [0, 1]."
        ),
        architecture="smooth-classifier",
        config={"outputs": classes, "widths": WIDTHS[:stages], "grid": 4},
        settings=settings,
        loss=open_data,
        measure=measure,
        wrap=lambda network: Besieged(network, epsilon, round(0.3 * plan.steps)),
        facts={"unit": 1.0, "epsilon": epsilon, "classes": list(images.task.labels)},
        inputs={
            "images": len(kept) + len(held_out),
            "pixels": digest,
            "size": [height, width],
            "batch": plan.batch,
            "flip": plan.flip,
            "epsilon": epsilon,
        },
    )


def _batch(
    images: FolderSet, kept: Sequence[int], plan: RobustPlan, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images in [-1, 1], float32 (B, 3, H, W), and their classes, int64 (B,)."""
    chosen = torch.randint(len(kept), (plan.batch,), generator=generator).tolist()
    some = [images[kept[k]] for k in chosen]
    x = augment.to_network(torch.stack([one.image for one in some]))
    if plan.flip:
        x = augment.mirror(x, generator)
    return x, torch.tensor([one.label for one in some])
