"""What a data set gives the benchmark: examples, a task, and (rendered sets) the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

TaskKind = Literal["binary", "pair", "multiclass"]


@dataclass(frozen=True, eq=False)
class Example:
    """One image of a data set.

    id: stable name, unique within the data set and usable as a file name.
    image: uint8 with shape (3, H, W).
    label: the true class: 0 or 1 for a binary task, the class number otherwise.
    """

    id: str
    image: Tensor
    label: int


@dataclass(frozen=True)
class Task:
    """One classification question asked of a data set.

    classes: the two class numbers between which counterfactuals go, (0, 1) for a binary task; all
        of them where any class can be the target.
    labels: how a person calls these classes, in the same order.
    attribute: the attribute that a binary task decides, none for class pairs.
    """

    name: str
    kind: TaskKind
    classes: tuple[int, ...]
    labels: tuple[str, ...]
    attribute: str | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """The true counterfactual of one example.

    counterfactual: uint8 with shape (3, H, W), all other attributes and all noise held.
    region: bool with shape (H, W), true where the counterfactual differs from the input.
    """

    counterfactual: Tensor
    region: Tensor


class ImageSet(Protocol):
    """One split of one data set, seen through one task; indexable, never shuffled."""

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> Task: ...

    @property
    def split(self) -> str: ...

    @property
    def size(self) -> tuple[int, int]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...

    def id(self, index: int) -> str:
        """The id of an example, without its image."""
        ...


@runtime_checkable
class HasAttributes(Protocol):
    """An image set that knows binary attributes of its examples, for CD's label correlation."""

    @property
    def attribute_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def attributes(self, indices: Sequence[int]) -> npt.NDArray[np.bool_]: ...


@runtime_checkable
class HasCue(Protocol):
    """An image set posed for a classifier that is known to use a planted cue."""

    def __len__(self) -> int: ...

    @property
    def cue(self) -> str | None:
        """The planted attribute; None in tasks without one."""
        ...

    @property
    def causes(self) -> tuple[str, ...]:
        """The attributes that decide the task."""
        ...

    def single_truths(self, index: int, target: int) -> dict[str, Truth]:
        """What an example looks like with one of its causes set to the target, by cause."""
        ...


@runtime_checkable
class HasNotes(Protocol):
    """An image set of files, which may hold what a person should know of."""

    def notes(self) -> list[str]:
        """What is left out, and what was met in the files that were read so far."""
        ...


@runtime_checkable
class HasTruth(Protocol):
    """An image set that knows the true counterfactual of its examples."""

    def truth(self, index: int, target: int) -> Truth: ...

    def true_image(self, index: int, target: int) -> Tensor:
        """The counterfactual of `truth` alone, without drawing the example itself again."""
        ...


@runtime_checkable
class HasSegments(Protocol):
    """An image set that knows which region every pixel of its images belongs to."""

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions by number."""
        ...

    def segments(self, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Maps of images: the number of every pixel's region, uint8 (B, H, W)."""
        ...


@runtime_checkable
class HasRegions(Protocol):
    """An image set that knows where the things in its images are."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of things that a region can be."""
        ...

    def region(self, index: int, part: str | None = None) -> Tensor:
        """Where an image differs with and without a part, bool with shape (H, W).

        Without a part, where it differs between the task's two labels, all else held.
        """
        ...
