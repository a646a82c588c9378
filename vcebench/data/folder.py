"""A folder of somebody's own images: class sub-folders, or a CSV of files and classes."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vcebench.data.base import Task
from vcebench.data.files import Geometry, inside
from vcebench.data.listed import UNLABELLED, ListedSet
from vcebench.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False)
class FolderSet(ListedSet):
    """Images of a folder; names are their paths, written so that they can be file names."""

    def id(self, index: int) -> str:
        """Path and ending of the image, as `safe_name` writes them."""
        return safe_name(self.files[index])


def safe_name(path: str) -> str:
    """A path as one file name: letters, digits, dot, minus and underscore only."""
    return re.sub(r"[^\w.-]+", "_", path, flags=re.ASCII).lstrip(".") or "_"


def list_folder(
    folder: Path, classes: Sequence[str] = ()
) -> tuple[list[tuple[str, int]], list[str]]:
    """Images of a folder with class sub-folders: ((relative path, class number), …), class names.

    Images that lie in the folder itself, without sub-folders, are unlabelled.

    Args:
        classes: names of the sub-folders to take, in the order of the class numbers; all in
            alphabetical order if empty.

    Raises UserError: no folder, no image, or a class without a folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give the folder of the images")
    found = sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))
    if not found:
        flat = [(file, UNLABELLED) for file in _images(folder)]
        if not flat:
            raise UserError(f"{folder} holds no image ({', '.join(ENDINGS)}); put some in")
        return flat, list(classes)
    names = list(classes) or found
    if lacking := [name for name in names if name not in found]:
        raise UserError(f"{folder} has no sub-folder {lacking[0]!r}; it has {', '.join(found)}")
    rows = [
        (f"{name}/{file}", number)
        for number, name in enumerate(names)
        for file in _images(folder / name)
    ]
    if not rows:
        raise UserError(f"the sub-folders of {folder} hold no image; put some in")
    return rows, names


def list_csv(
    path: Path, folder: Path, classes: Sequence[str] = ()
) -> tuple[list[tuple[str, int]], list[str]]:
    """The same from a CSV with the columns file and label; files are relative to the folder.

    Raises UserError: unreadable, another form, a class that is not among those given, or a file
    outside of the folder.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not rows or not {"file", "label"} <= rows[0].keys():
        raise UserError(f"{path} needs a first line with the names file and label, then rows")
    labels = [(row["label"] or "").strip() for row in rows]
    names = list(classes) or sorted(set(labels))
    numbers = {name: number for number, name in enumerate(names)}
    listed = []
    for line, (row, label) in enumerate(zip(rows, labels, strict=True), start=2):
        if label not in numbers:
            known = ", ".join(names)
            raise UserError(f"{path}, line {line}: label {label!r} is none of {known}")
        inside(folder, row["file"])
        listed.append((row["file"], numbers[label]))
    return listed, names


def folder_set(
    name: str,
    task: Task,
    folder: Path,
    rows: Sequence[tuple[str, int]],
    geometry: Geometry,
) -> FolderSet:
    """The image set of listed files; grey images become RGB, EXIF turns are applied."""
    names = [safe_name(file) for file, _ in rows]
    if len(set(names)) != len(names):
        double = next(n for n in names if names.count(n) > 1)
        raise UserError(f"{folder}: several files would be called {double}; rename one")
    return FolderSet(
        name=name,
        task=task,
        split="all",
        root=folder,
        data_root=folder,
        files=[file for file, _ in rows],
        labels=[label for _, label in rows],
        geometry=geometry,
        upright=True,
    )


def _images(folder: Path) -> list[str]:
    return sorted(e.name for e in os.scandir(folder) if e.name.lower().endswith(ENDINGS))
