"""`RenderedSet`: one split of a rendered set, drawn on demand, with the truth per example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from vcebench.data.base import Example, Task, Truth
from vcebench.data.registry import UnknownNameError

TRUTH_THRESHOLD = 2
"""A pixel is in the true region where some channel changes by more than this, of 255."""

Images = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Indices = Sequence[int] | NDArray[np.integer]
Factors = TypeVar("Factors")


@dataclass(frozen=True)
class Range:
    """A split's pictures: numbers from `start` on, `count` of them; no two splits share one."""

    start: int
    count: int


class RenderedSet(ABC, Generic[Factors]):
    """A split of a rendered set seen through a task; nothing is stored.

    task: a `Task`, or the name of one of the set's.
    split: one of `splits`.
    seed: another seed gives another world.

    Raises `UnknownNameError` (a ValueError) for an unknown task or split.
    """

    name: ClassVar[str]
    size: ClassVar[tuple[int, int]]
    tasks: ClassVar[Mapping[str, Task]]
    splits: ClassVar[Mapping[str, Range]]
    things: ClassVar[Mapping[str, tuple[str, ...]]]
    """Part of a picture → binary causes that change it, each by itself."""
    regions: ClassVar[tuple[str, ...]]
    """Names of what a pixel can belong to, by number."""

    def __init__(self, task: Task | str, split: str, seed: int) -> None:
        if isinstance(task, str):
            if task not in self.tasks:
                raise UnknownNameError(f"task of {self.name}", task, self.tasks)
            task = self.tasks[task]
        if split not in self.splits:
            raise UnknownNameError(f"split of {self.name}", split, self.splits)
        self.task = task
        self.split = split
        self.seed = seed
        self._range = self.splits[split]

    @abstractmethod
    def factors(self, indices: Indices) -> Factors:
        """The causes of these examples. Raises IndexError outside of the split."""

    @abstractmethod
    def render(self, factors: Factors) -> Images:
        """Pictures, uint8 (B, 3, H, W)."""

    @abstractmethod
    def segments(self, indices: Indices) -> Images:
        """Maps of the pictures: number of the region every pixel belongs to, uint8 (B, H, W)."""

    @abstractmethod
    def labels(self, indices: Indices) -> NDArray[np.int64]:
        """The task's labels of these examples, shape (B,), without drawing them."""

    @abstractmethod
    def counterfactual(self, factors: Factors, targets: NDArray[np.integer]) -> Factors:
        """The same causes, but for those that make the label `targets`, shape (B,)."""

    @abstractmethod
    def with_cause(self, factors: Factors, name: str, value: int) -> Factors:
        """The same causes, but for one binary cause set to 0 or 1."""

    def __len__(self) -> int:
        return self._range.count

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what `region` can be asked for."""
        return tuple(self.things)

    def region(self, index: int, part: str | None = None) -> torch.Tensor:
        """Where a picture differs with a part's causes set to 0 and to 1, bool with shape (H, W).

        The union over the causes. Without a part, where it differs between the two labels.

        Raises `UnknownNameError` for an unknown part.
        """
        factors = self.factors([index])
        if part is None:
            pairs = [tuple(self.counterfactual(factors, np.array([v])) for v in (0, 1))]
        elif part not in self.things:
            raise UnknownNameError(f"part of {self.name}", part, self.things)
        else:
            pairs = [
                tuple(self.with_cause(factors, name, v) for v in (0, 1))
                for name in self.things[part]
            ]
        regions = [true_region(self.render(off), self.render(on))[0] for off, on in pairs]
        return torch.from_numpy(np.any(regions, axis=0))

    def __getitem__(self, index: int) -> Example:
        image = torch.from_numpy(self.render(self.factors([index]))[0])
        label = int(self.labels([index])[0])
        return Example(self.id(index), image, label)

    def id(self, index: int) -> str:
        """The id of an example, without drawing it."""
        return f"{self.name}-{self.split}-{index:05d}"

    def truth(self, index: int, target: int) -> Truth:
        """What example `index` looks like with the label `target` (0 or 1), all else held.

        The region is where the example's own image differs from it by more than 2 of 255 in some
        channel; empty if the label is `target`.
        """
        counterfactuals, regions = self.truth_batch([index], [target])
        return Truth(torch.from_numpy(counterfactuals[0]), torch.from_numpy(regions[0]))

    def true_image(self, index: int, target: int) -> torch.Tensor:
        """The counterfactual of `truth` alone, uint8 (3, H, W): one drawing instead of two."""
        factors = self.counterfactual(self.factors([index]), np.array([target]))
        return torch.from_numpy(self.render(factors)[0])

    def truth_batch(self, indices: Indices, targets: Indices) -> tuple[Images, Flags]:
        """True counterfactuals uint8 (B, 3, H, W) and regions bool (B, H, W)."""
        factors = self.factors(indices)
        counterfactuals = self.render(self.counterfactual(factors, np.asarray(targets)))
        return counterfactuals, true_region(self.render(factors), counterfactuals)

    def numbers(self, indices: Indices) -> list[int]:
        """The pictures' numbers across all splits. Raises IndexError outside of the split."""
        wanted = [int(index) for index in indices]
        for number in wanted:
            if not 0 <= number < len(self):
                raise IndexError(f"{self.split} has examples 0 to {len(self) - 1}, not {number}")
        return [self._range.start + number for number in wanted]


def true_region(image: Images, counterfactual: Images) -> Flags:
    """Where two uint8 images (..., 3, H, W) differ: bool (..., H, W)."""
    difference = np.abs(image.astype(np.int16) - counterfactual.astype(np.int16))
    region: Flags = difference.max(axis=-3) > TRUTH_THRESHOLD
    return region
