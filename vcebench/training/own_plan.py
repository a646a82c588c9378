"""How networks of somebody's own images are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vcebench.data.listed import ListedSet
from vcebench.models.classifier import TargetClassifier
from vcebench.training.beginning import Beginning

SMALL_AREA = 64 * 64
"""Pixels up to which a narrow network learns simple images on a CPU."""

MINUTES, UNIT_AREA = 15, 32 * 32
"""Time of a training by default, for images of so many pixels; others take it in proportion."""


CHAIN, FOCUS = 500, 160
"""T of a training, and the timestep below which it takes most of its draws."""


@dataclass(frozen=True)
class OwnPlan:
    """How large a network of one's own images is and how long it is trained.

    Attributes:
        size: height and width of the images, multiples of 8.
        width: channels of the first level, a multiple of 32; the four levels have 1, 2, 3 and 4
            times as many, below 64 only 1, 1, 2 and 3 times.
        steps: training steps; the protocol's faces need hundreds of thousands.
        batch: images in a step.
        flip: whether a mirrored image is as good as the image.
        fit: how images of a folder are brought to the size, see `vcebench.data.files.Geometry`.
        budget: seconds that the training may take here, instead of `steps`.
        channels: 1 makes a prior of grey images; those of colours are averaged.
        begin: the prior that a prior's training begins from; it also says how large it is.
        device: where a prior is trained and measured; a bridge is trained on the CPU.
    """

    size: tuple[int, int]
    width: int = 64
    steps: int = 100_000
    batch: int = 16
    flip: bool = True
    seed: int = 0
    fit: Literal["crop", "stretch", "pad"] = "crop"
    budget: float | None = None
    channels: Literal[1, 3] = 3
    begin: Beginning | None = None
    device: str = "cpu"

    @property
    def narrow(self) -> bool:
        """Whether it is a small network, which learns in larger steps."""
        wide = {} if self.begin is None else self.begin.config
        return int(wide.get("model_channels", self.width)) < 64

    @property
    def chain(self) -> int:
        """T of the training."""
        return CHAIN if self.begin is None else self.begin.chain


@dataclass(frozen=True, eq=False)
class Judge:
    """A classifier that says whether a prior keeps what images are.

    Attributes:
        classifier: of three channels, on the CPU.
        tau: where its task's editing starts.
        images: those of its task, prepared as those that the prior learns from; None where these
            are the task's own.
    """

    classifier: TargetClassifier
    tau: int
    images: ListedSet | None = None


def usual(size: tuple[int, int], device: str = "cpu") -> dict[str, Any]:
    """What a plan is where nobody says anything else, by the size of the images and the device.

    A card takes the wide network at every size, and the time of the smallest images up to
    `SMALL_AREA`. That is a choice: on a card it was not measured.

    >>> usual((32, 32)), usual((64, 64))
    ({'width': 32, 'budget': 900.0}, {'width': 32, 'budget': 3600.0})
    >>> usual((64, 64), "cuda"), usual((128, 128), "cuda")
    ({'width': 64, 'budget': 900.0}, {'width': 64, 'budget': 3600.0})
    """
    area, card = size[0] * size[1], device != "cpu"
    return {
        "width": 32 if area <= SMALL_AREA and not card else 64,
        "budget": 60.0 * MINUTES * max(1.0, area / (SMALL_AREA if card else UNIT_AREA)),
    }
