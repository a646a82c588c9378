"""Contact sheets of data sets."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from PIL import Image

from vcebench.data.base import ImageSet
from vcebench.data.registry import open_dataset
from vcebench.showing.pictures import example_sheet

SHOWN = 48


def sheet_of(
    dataset: str, task: str | None = None, split: str | None = None, root: Path | None = None
) -> Image.Image:
    """A picture of a data set: its own kind of sheet if it draws one, else its first examples.

    Raises ValueError (with the nearest names) for an unknown data set, task or split.
    """
    images = open_dataset(dataset, task, split, root)
    if images.name in ("synthfaces", "synthroads"):
        own = import_module(f"vcebench.data.{images.name}.sheet")
        sheet: Image.Image = own.contact_sheet(split=images.split)
        return sheet
    return sheet_of_images(images)


def sheet_of_images(images: ImageSet) -> Image.Image:
    """The first images of a set, each under the name of its class."""
    names = dict(zip(images.task.classes, images.task.labels, strict=True))
    shown = []
    for index in range(min(SHOWN, len(images))):
        example = images[index]
        unknown = "unlabelled" if example.label < 0 else f"class {example.label}"
        shown.append((names.get(example.label, unknown), example.image))
    return example_sheet(shown)
