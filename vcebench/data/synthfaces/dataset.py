"""`SynthFaces`: one split of the synthetic faces, drawn on demand, with the truth per example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vcebench.data.base import Task, Truth
from vcebench.data.registry import dataset_entry
from vcebench.data.rendered.dataset import (
    Flags,
    Images,
    Indices,
    Range,
    RenderedSet,
    true_region,
)
from vcebench.data.synthfaces.canvas import REGIONS, SIZE
from vcebench.data.synthfaces.factors import Factors, draw
from vcebench.data.synthfaces.render import render, segments
from vcebench.data.synthfaces.scm import ATTRIBUTES, INDEX
from vcebench.data.synthfaces.shortcuts import SHORTCUTS, Shortcut

TASKS: dict[str, Task] = {task.name: task for task in dataset_entry("synthfaces").tasks}

PARTS: dict[str, tuple[str, ...]] = {
    "mouth": ("Smiling", "Mouth_Slightly_Open", "Wearing_Lipstick"),
    "cheeks": ("Rosy_Cheeks",),
    "eyes": ("Narrow_Eyes",),
    "eyebrows": ("Bushy_Eyebrows",),
    "eyeglasses": ("Eyeglasses",),
    "bangs": ("Bangs",),
    "beard": ("No_Beard",),
    "hat": ("Wearing_Hat",),
    "patch": ("patch",),
}
"""Part of a face → attributes that change it."""

SPLITS: dict[str, Range] = {
    "train": Range(0, 20_000),
    "val": Range(1_000_000, 2_000),
    "test": Range(2_000_000, 2_000),
    "oracle": Range(3_000_000, 20_000),
    "embedder": Range(4_000_000, 20_000),
}


class SynthFaces(RenderedSet[Factors]):
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
    tasks = TASKS
    splits = SPLITS
    things = PARTS
    regions = REGIONS
    attribute_names: tuple[str, ...] = ATTRIBUTES

    def __init__(
        self,
        task: Task | str = "smile",
        split: str = "test",
        root: Path | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(task, split, seed)
        if self.task.attribute not in INDEX:
            raise ValueError(f"task {self.task.name!r} asks for no attribute of synthfaces")
        self._attribute = str(self.task.attribute)
        self._shortcut: Shortcut | None = SHORTCUTS.get(self.task.name)

    def factors(self, indices: Indices) -> Factors:
        """The causes of these examples. Raises IndexError outside of the split."""
        people = self.numbers(indices)
        factors = draw(self.seed, people, [0] * len(people))
        return factors if self._shortcut is None else self._shortcut.pose(factors, np.array(people))

    def batch(self, indices: Indices) -> tuple[Images, Flags]:
        """Images uint8 (B, 3, 64, 64) and attributes bool (B, A), columns as `attribute_names`."""
        factors = self.factors(indices)
        return render(factors), factors.attributes[:, : len(ATTRIBUTES)]

    def labels(self, indices: Indices) -> NDArray[np.int64]:
        """The task's labels of these examples, shape (B,), without drawing them."""
        return self.factors(indices).value(self._attribute).astype(np.int64)

    def attributes(self, indices: Indices) -> Flags:
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
        identities: Indices,
        draws: Indices,
    ) -> tuple[Images, Flags]:
        """As `batch`, for picture `draws[b]` of this split's person `identities[b]`.

        Pictures of one person differ in attributes and nuisance. Draw 0 of person i is example i.
        """
        factors = draw(self.seed, self.numbers(identities), [int(n) for n in draws])
        return render(factors), factors.attributes[:, : len(ATTRIBUTES)]

    def render(self, factors: Factors) -> Images:
        """Pictures, uint8 (B, 3, 64, 64)."""
        return render(factors)

    def segments(self, indices: Indices) -> Images:
        """See `RenderedSet.segments`; uint8 (B, 64, 64)."""
        return segments(self.factors(indices))

    def counterfactual(self, factors: Factors, targets: NDArray[np.integer]) -> Factors:
        """The same faces with the task's attribute set to `targets`.

        Where a shortcut is planted, what its classifier uses is set instead. All other attributes
        and all noise are held.
        """
        return factors.do(dict.fromkeys(self.causes, targets))

    def with_cause(self, factors: Factors, name: str, value: int) -> Factors:
        """The same faces with one attribute set."""
        return factors.do({name: value})

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
