"""Which images of a data set a foreign folder's inputs are: said, then verified, never assumed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vcebench.data.base import Example, ImageSet
from vcebench.data.registry import DATASETS, dataset_entry, open_dataset
from vcebench.errors import UserError, user_errors
from vcebench.folders.foreign.pairs import Pair
from vcebench.folders.images import Codec

NONE, AUTO = "none", "auto"
NEAR_PNG, NEAR_JPEG = 1.0, 4.0
"""Largest mean difference, in levels of 255, between a file and the image it is said to be: the
authors' programs cut levels off, and JPEG changes them."""


@dataclass(frozen=True)
class Matched:
    """A data set's split, and where in it the pairs' inputs lie.

    Attributes:
        images: the split.
        positions: id of a pair → position in the split.
    """

    images: ImageSet
    positions: Mapping[str, int]

    @property
    def title(self) -> str:
        """As a run's configuration names it."""
        return f"{self.images.name} {self.images.split}"

    def example(self, pair: Pair) -> Example:
        """The data set's own image of a pair."""
        return self.images[self.positions[pair.id]]


def propose(
    wanted: str, dataset: str, task: str, pairs: Sequence[Pair], root: Path | None
) -> Matched | None:
    """The images that the pairs' inputs are said to be.

    Args:
        wanted: "auto" (the split of an embedded set, none for others), "none", a data set with its
            split such as celeba-val, or a CSV file whose column image_id lists the files in the
            order in which the program counted them.
        dataset, task: what the import is about.
        pairs: matched by their id if that is the name of an image, else by their position.
        root: folder of a data set that does not ship.

    Raises:
        UserError: no such images, or a pair is none of them (with "auto" nothing is said then).
    """
    entry = DATASETS.get(dataset)
    if wanted == NONE or entry is None or (wanted == AUTO and not entry.embedded):
        if wanted not in (NONE, AUTO):
            raise UserError(f"--images is for registered data sets, not for {dataset}")
        return None
    listed: list[str] | None = None
    if wanted == AUTO:
        split = entry.default_split
    elif wanted.endswith(".csv"):
        split, listed = entry.default_split, _listed(Path(wanted))
    else:
        split = _split(wanted, dataset)
    with user_errors():
        images = open_dataset(dataset, task, split, root)
    names = {images.id(index): index for index in range(len(images))}
    positions = {}
    for pair in pairs:
        position = names.get(pair.id)
        if position is None and pair.position is not None:
            position = _counted(pair.position, names, listed)
        if position is None:
            if wanted == AUTO:
                return None
            raise UserError(f"{pair.id} is no image of {wanted}; use --images none")
        positions[pair.id] = position
    if len(set(positions.values())) != len(positions):
        raise UserError(f"several pairs are the same image of {wanted}; use --images none")
    return Matched(images, positions)


def _counted(position: int, names: Mapping[str, int], listed: Sequence[str] | None) -> int | None:
    if listed is None:
        return position if position < len(names) else None
    return names.get(listed[position]) if position < len(listed) else None


def _split(wanted: str, dataset: str) -> str:
    name, _, split = wanted.rpartition("-")
    if name != dataset:
        near = ", ".join(f"{dataset}-{one}" for one in dataset_entry(dataset).splits)
        raise UserError(f"--images {wanted} is not of {dataset}; use {near}, none, or a CSV file")
    with user_errors():
        return dataset_entry(dataset).check_split(split)


def _listed(path: Path) -> list[str]:
    """Names of the images in the column image_id, without ending."""
    try:
        with path.open(newline="") as file:
            return [Path(row["image_id"]).stem for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a list with the column image_id") from error


def difference(image: Tensor, other: Tensor) -> float:
    """Mean difference of two uint8 images in levels; infinite if they have different sizes."""
    if image.shape != other.shape:
        return float("inf")
    return float((image.to(torch.int16) - other.to(torch.int16)).abs().float().mean())


def is_near(pair: Pair, image: Tensor, example: Example) -> bool:
    """Whether a stored input is the data set's image, as far as its format keeps it."""
    exact = difference(image, example.image)
    if Path(pair.input).suffix.lower() == ".png":
        return exact <= NEAR_PNG
    # Sharp edges lose more in JPEG than a photograph: compare with what JPEG makes of the image.
    encoded = Codec("jpeg").stored(example.image)
    return min(exact, difference(image, encoded)) <= NEAR_JPEG
