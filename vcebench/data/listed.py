"""An image set that is a list of files with labels; images are read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vcebench.data.base import Example, Task
from vcebench.data.files import Geometry, inside, read_picture
from vcebench.data.pixels import WHITE, Colour
from vcebench.data.remarks import Remarks
from vcebench.errors import UserError

UNLABELLED = -1
"""Label of an image whose class is not known; it counts as classified correctly."""


@dataclass(frozen=True, eq=False)
class ListedSet:
    """One split of a data set on disk.

    Attributes:
        name, task, split: see `vcebench.data.base.ImageSet`.
        root: folder the files lie in.
        data_root: folder the data set was opened with; metrics open other splits with it.
        files: paths relative to the root, in the order of the split.
        labels: their classes.
        geometry: how an image is brought to the size of the networks.
        native: (width, height) of the files, None if they may differ.
        upright: turn images as their EXIF entry says.
        background: colour behind transparent pixels.
        remarks: what was met in the files that were read.
        grey: make images grey, by the mean of their channels.
    """

    name: str
    task: Task
    split: str
    root: Path
    data_root: Path
    files: Sequence[str]
    labels: Sequence[int]
    geometry: Geometry
    native: tuple[int, int] | None = None
    upright: bool = False
    background: Colour = WHITE
    remarks: Remarks = field(default_factory=Remarks)
    grey: bool = False

    def __post_init__(self) -> None:
        if not self.files:
            raise UserError(f"{self.name}: no image of the split {self.split!r} in {self.root}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""
        return self.geometry.height, self.geometry.width

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Example:
        """Raises BadImageError (the file is named), or UserError if it lies outside the root."""
        image = read_picture(
            self.path(index),
            self.geometry,
            self.native,
            self.upright,
            self.background,
            lambda habit: self.remarks.add(habit, self.files[index]),
        )
        if self.grey:
            image = image.float().mean(dim=0).round().to(torch.uint8).expand(3, -1, -1).contiguous()
        return Example(self.id(index), image, int(self.labels[index]))

    def notes(self) -> list[str]:
        """What a person should know of the files that were read so far, line by line."""
        return self.remarks.lines()

    def path(self, index: int) -> Path:
        """The file of an image; raises UserError if it leads out of the root."""
        return inside(self.root, self.files[index])

    def id(self, index: int) -> str:
        """Name of an image: that of its file without the ending."""
        return Path(self.files[index]).stem
