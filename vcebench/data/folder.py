"""A folder of somebody's own images as an image set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vcebench.data.base import Task
from vcebench.data.files import Geometry
from vcebench.data.ids import ids_of
from vcebench.data.listed import ListedSet
from vcebench.data.listing import Listing
from vcebench.data.pixels import WHITE, Colour
from vcebench.data.remarks import Remarks


@dataclass(frozen=True, eq=False)
class FolderSet(ListedSet):
    """Images of a folder; names are their paths, written so that they can be file names.

    Attributes:
        ids: a name for each image.
        said: what the listing of the folder has to say.
    """

    ids: Sequence[str] = ()
    said: Sequence[str] = ()

    def id(self, index: int) -> str:
        """Name of an image; see `vcebench.data.ids.ids_of`."""
        return self.ids[index]

    def notes(self) -> list[str]:
        """What is left out, and what was met in the images that were read so far."""
        return [*self.said, *super().notes()]


def folder_set(
    name: str,
    task: Task,
    folder: Path,
    listing: Listing,
    geometry: Geometry,
    background: tuple[str, Colour] = ("white", WHITE),
    grey: bool = False,
) -> FolderSet:
    """The image set of listed files; every kind of picture becomes RGB, EXIF turns are applied.

    Args:
        background: name and value of the colour behind transparent pixels.
        grey: make them grey.
    """
    files = [file for file, _ in listing.rows]
    return FolderSet(
        name=name,
        task=task,
        split="all",
        root=folder,
        data_root=folder,
        files=files,
        labels=[label for _, label in listing.rows],
        geometry=geometry,
        upright=True,
        background=background[1],
        remarks=Remarks(background[0]),
        grey=grey,
        ids=ids_of(files),
        said=listing.lines(),
    )
