"""`SynthRoads`: one split of the driving scenes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vcebench.data.base import Task
from vcebench.data.registry import dataset_entry
from vcebench.data.rendered.dataset import Flags, Images, Indices, Range, RenderedSet
from vcebench.data.synthroads import scm
from vcebench.data.synthroads.canvas import HEIGHT, REGIONS, WIDTH
from vcebench.data.synthroads.factors import Factors, draw
from vcebench.data.synthroads.render import render, segments

TASKS: dict[str, Task] = {task.name: task for task in dataset_entry("synthroads").tasks}

PARTS: dict[str, tuple[str, ...]] = {
    "light": ("Red_Light",),
    "pedestrian": ("Pedestrian",),
    "car": ("Car_Near",),
    "bystander": ("Bystander",),
}
"""Part of a scene → variables that change it."""

SPLITS: dict[str, Range] = {
    "train": Range(0, 20_000),
    "val": Range(1_000_000, 2_000),
    "test": Range(2_000_000, 2_000),
    "oracle": Range(3_000_000, 20_000),
}


class SynthRoads(RenderedSet[Factors]):
    """A split of driving scenes; the label is 1 (forward) where nothing says slow down.

    split: one of `SPLITS`; "oracle" exists to train that network on scenes no other network sees.
    root: not used, there are no files.
    """

    name = "synthroads"
    size = (HEIGHT, WIDTH)
    tasks: ClassVar[dict[str, Task]] = TASKS
    splits = SPLITS
    things = PARTS
    regions = REGIONS
    cause_names: tuple[str, ...] = scm.NAMES

    def __init__(
        self,
        task: Task | str = "forward-slowdown",
        split: str = "test",
        root: Path | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(task, split, seed)
        if self.task.attribute != scm.LABEL:
            name = self.task.name
            raise ValueError(f"task {name!r} is no task of synthroads: use forward-slowdown")

    def factors(self, indices: Indices) -> Factors:
        """The causes of these examples. Raises IndexError outside of the split."""
        return draw(self.seed, self.numbers(indices))

    def render(self, factors: Factors) -> Images:
        """Pictures, uint8 (B, 3, 64, 128)."""
        return render(factors)

    def segments(self, indices: Indices) -> Images:
        """See `RenderedSet.segments`; uint8 (B, 64, 128)."""
        return segments(self.factors(indices))

    def batch(self, indices: Indices) -> tuple[Images, Flags]:
        """Images uint8 (B, 3, 64, 128) and causes bool (B, A), columns as `cause_names`."""
        factors = self.factors(indices)
        return render(factors), factors.variables

    def labels(self, indices: Indices) -> NDArray[np.int64]:
        """Labels of these examples, 1 for forward, shape (B,), without drawing them."""
        return self.factors(indices).value(scm.LABEL).astype(np.int64)

    def counterfactual(self, factors: Factors, targets: NDArray[np.integer]) -> Factors:
        """Towards forward without any cause to slow down; towards slow down with a red light."""
        return factors.go(targets)

    def with_cause(self, factors: Factors, name: str, value: int) -> Factors:
        """The same scenes with one variable set."""
        return factors.do({name: value})
