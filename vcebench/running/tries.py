"""What goes through an engine: images at one rung of a ladder, and how they came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Item:
    """One image to explain.

    id, index: stable name, and position in its split.
    image: uint8 with shape (3, H, W).
    label: true class.
    target: class asked for; None leaves it to the task.
    traced: whether the steps are kept.
    region: where it may change, bool with shape (1, H, W); None leaves it to run and method.
    segments: number of every pixel's region, uint8 with shape (H, W); None if no method asks.
    """

    id: str
    index: int
    image: Tensor
    label: int
    target: int | None = None
    traced: bool = False
    region: Tensor | None = None
    segments: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Try:
    """One image at one rung: with what the rung sets; `last` if no other follows."""

    item: Item
    rung: int
    settings: Mapping[str, Any]
    last: bool

    @property
    def lambda_class(self) -> float | None:
        """λ_c of the rung, if it has one."""
        return self.settings.get("lambda_class")


def of_method(rung: Mapping[str, Any]) -> dict[str, Any]:
    """What a rung changes of the method itself: all but λ_c, which goes to the guidance."""
    return {name: value for name, value in rung.items() if name != "lambda_class"}


@dataclass(frozen=True, eq=False)
class Outcome:
    """How one try went.

    Attributes:
        finite: no NaN or infinity in the counterfactual.
        prediction, source, target: see `Row`; margins and probabilities too.
        flipped: the stored image is classified as the target.
        flipped_float, top1: see `Row`.
        nfe, backward: evaluations of the prior and backward passes through it in this try.
        image: the counterfactual as its file holds it, uint8 (3, H, W).
        files: kind → content of the files, for a try that may be the last one.
        trace: name → tensor (steps, …) of a traced image.
        region: where the image could change, bool (1, H, W); None if everywhere.
        batch_size: rows of the batch, if memory allowed fewer than asked for; else None.
        already: the input is of the class asked for; nothing was tried, `image` is the input.
    """

    finite: bool
    prediction: int
    source: int
    target: int
    flipped: bool
    flipped_float: bool
    top1: bool
    nfe: int
    backward: int
    margin_input: float
    margin: float
    target_probability_input: float
    target_probability: float
    image: Tensor
    mask_z: Tensor | None = None
    mask_x: Tensor | None = None
    region: Tensor | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    trace: dict[str, Tensor] = field(default_factory=dict)
    batch_size: int | None = None
    already: bool = False
