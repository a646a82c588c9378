"""`SynthFaces`: one split of the synthetic faces, drawn on demand, with the truth per example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vcebench.data.base import Example, Task, Truth
from vcebench.data.registry import UnknownNameError
from vcebench.data.synthfaces.canvas import SIZE
from vcebench.data.synthfaces.factors import Factors, draw
from vcebench.data.synthfaces.render import render
from vcebench.data.synthfaces.scm import ATTRIBUTES, INDEX
from vcebench.data.synthfaces.shortcuts import SHORTCUTS, Shortcut

TASKS: dict[str, Task] = {
    "smile": Task("smile", "binary", (0, 1), ("not smiling", "smiling"), "Smiling"),
    "age": Task("age", "binary", (0, 1), ("old", "young"), "Young"),
    "smile-shortcut-hat": Task(
        "smile-shortcut-hat", "binary", (0, 1), ("no hat", "hat"), "Wearing_Hat"
    ),
    "smile-shortcut-patch": Task(
        "smile-shortcut-patch", "binary", (0, 1), ("no patch", "patch"), "patch"
    ),
    "smile-shortcut-eyeglasses": Task(
        "smile-shortcut-eyeglasses", "binary", (0, 1), ("no eyeglasses", "eyeglasses"), "Eyeglasses"
    ),
    "smile-mixture-eyeglasses": Task(
        "smile-mixture-eyeglasses",
        "binary",
        (0, 1),
        ("no smile, no eyeglasses", "smile and eyeglasses"),
        "Smiling",
    ),
}


@dataclass(frozen=True)
class Range:
    """A split's people: numbers from `start` on, `count` of them; no two splits share one."""

    start: int
    count: int


SPLITS: dict[str, Range] = {
    "train": Range(0, 20_000),
    "val": Range(1_000_000, 2_000),
    "test": Range(2_000_000, 2_000),
    "oracle": Range(3_000_000, 20_000),
    "embedder": Range(4_000_000, 20_000),
}

TRUTH_THRESHOLD = 2
"""A pixel is in the true region where some channel changes by more than this, of 255."""

Images = NDArray[np.uint8]
Flags = NDArray[np.bool_]


class SynthFaces:
    """A split of synthetic faces seen through a task; nothing is stored.

    task: a `Task`, or the name of one of `TASKS`; its label is the value of its attribute. A task
    of `SHORTCUTS` poses the faces for it: its cue is set by intervention.
    split: one of `SPLITS`; "oracle" and "embedder" exist to train those networks on people that no
    other network sees.
    root: not used, there are no files.
    seed: another seed gives another world of people.

    Raises `UnknownNameError` (a ValueError) for an unknown task or split, ValueError for a task
    without an attribute of this set.
    """

    name = "synthfaces"
    size = (SIZE, SIZE)
    attribute_names: tuple[str, ...] = ATTRIBUTES

    def __init__(
        self,
        task: Task | str = "smile",
        split: str = "test",
        root: Path | None = None,
        *,
        seed: int = 0,
    ) -> None:
        if isinstance(task, str):
            if task not in TASKS:
                raise UnknownNameError(f"task of {self.name}", task, TASKS)
            task = TASKS[task]
        if task.attribute not in INDEX:
            raise ValueError(f"task {task.name!r} asks for no attribute of synthfaces")
        if split not in SPLITS:
            raise UnknownNameError(f"split of {self.name}", split, SPLITS)
        self.task = task
        self.split = split
        self.seed = seed
        self._range = SPLITS[split]
        self._attribute: str = task.attribute
        self._shortcut: Shortcut | None = SHORTCUTS.get(task.name)

    def __len__(self) -> int:
        return self._range.count

    def __getitem__(self, index: int) -> Example:
        factors = self.factors([index])
        image = torch.from_numpy(render(factors)[0])
        label = int(factors.value(self._attribute)[0])
        return Example(f"{self.name}-{self.split}-{index:05d}", image, label)

    def factors(self, indices: Sequence[int] | NDArray[np.integer]) -> Factors:
        """The causes of these examples. Raises IndexError outside of the split."""
        people = self._people(indices)
        factors = draw(self.seed, people, [0] * len(people))
        return factors if self._shortcut is None else self._shortcut.pose(factors, np.array(people))

    def batch(self, indices: Sequence[int] | NDArray[np.integer]) -> tuple[Images, Flags]:
        """Images uint8 (B, 3, 64, 64) and attributes bool (B, A), columns as `attribute_names`."""
        factors = self.factors(indices)
        return render(factors), factors.attributes[:, : len(ATTRIBUTES)]

    def labels(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        """The task's labels of these examples, shape (B,), without drawing them."""
        return self.factors(indices).value(self._attribute).astype(np.int64)

    def attributes(self, indices: Sequence[int] | NDArray[np.integer]) -> Flags:
        """Attributes bool (B, A) of these examples, without drawing them."""
        return self.factors(indices).attributes[:, : len(ATTRIBUTES)]

    @property
    def cue(self) -> str | None:
        """The attribute that is planted as a shortcut; None in tasks without one."""
        return None if self._shortcut is None else self._shortcut.cue

    @property
    def causes(self) -> tuple[str, ...]:
        """The attributes that decide the task, those that a true counterfactual sets."""
        return (self._attribute,) if self._shortcut is None else self._shortcut.causes

    def identity_batch(
        self,
        identities: Sequence[int] | NDArray[np.integer],
        draws: Sequence[int] | NDArray[np.integer],
    ) -> tuple[Images, Flags]:
        """As `batch`, for picture `draws[b]` of this split's person `identities[b]`.

        Pictures of one person differ in attributes and nuisance. Draw 0 of person i is example i.
        """
        factors = draw(self.seed, self._people(identities), [int(n) for n in draws])
        return render(factors), factors.attributes[:, : len(ATTRIBUTES)]

    def truth(self, index: int, target: int) -> Truth:
        """What example `index` looks like with its task's attribute set to `target` (0 or 1).

        Where a shortcut is planted, what its classifier uses is set instead. All other attributes
        and all noise are held. The region is where the example's own image differs from it by more
        than 2 of 255 in some channel; empty if the label is `target`.
        """
        counterfactuals, regions = self.truth_batch([index], [target])
        return Truth(torch.from_numpy(counterfactuals[0]), torch.from_numpy(regions[0]))

    def truth_batch(
        self,
        indices: Sequence[int] | NDArray[np.integer],
        targets: Sequence[int] | NDArray[np.integer],
    ) -> tuple[Images, Flags]:
        """True counterfactuals uint8 (B, 3, 64, 64) and regions bool (B, 64, 64)."""
        factors = self.factors(indices)
        changed = factors.do({name: np.asarray(targets) for name in self.causes})
        counterfactuals = render(changed)
        return counterfactuals, true_region(render(factors), counterfactuals)

    def single_truths(self, index: int, target: int) -> dict[str, Truth]:
        """As `truth`, with one of the task's causes set alone: cause → counterfactual, region."""
        factors = self.factors([index])
        image = render(factors)
        found = {}
        for name in self.causes:
            counterfactual = render(factors.do({name: target}))
            region = torch.from_numpy(true_region(image, counterfactual)[0])
            found[name] = Truth(torch.from_numpy(counterfactual[0]), region)
        return found

    def _people(self, indices: Sequence[int] | NDArray[np.integer]) -> list[int]:
        numbers = [int(index) for index in indices]
        for number in numbers:
            if not 0 <= number < len(self):
                raise IndexError(f"{self.split} has examples 0 to {len(self) - 1}, not {number}")
        return [self._range.start + number for number in numbers]


def true_region(image: Images, counterfactual: Images) -> Flags:
    """Where two uint8 images (..., 3, H, W) differ: bool (..., H, W)."""
    difference = np.abs(image.astype(np.int16) - counterfactual.astype(np.int16))
    region: Flags = difference.max(axis=-3) > TRUTH_THRESHOLD
    return region
