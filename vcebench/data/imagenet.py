"""Class pairs of ImageNet, from a folder of synset directories.

Reference: ImageNet Large Scale Visual Recognition Challenge (Russakovsky et al., 2015). The 7,800
images of the papers are all 1,300 training images of each of the six classes.
"""

from __future__ import annotations

import os
from itertools import zip_longest
from pathlib import Path

from vcebench.data.base import Task
from vcebench.data.files import Geometry, data_folder
from vcebench.data.listed import ListedSet
from vcebench.errors import UserError

SYNSETS = {
    283: "n02123394",  # Persian cat
    285: "n02124075",  # Egyptian cat
    286: "n02125311",  # cougar
    293: "n02130308",  # cheetah
    339: "n02389026",  # sorrel
    340: "n02391049",  # zebra
}
FETCH = (
    "get the synset directories of ImageNet (image-net.org, ILSVRC 2012) and put "
    "train/n02389026/*.JPEG and so on"
)
_ENDINGS = (".jpeg", ".jpg", ".png")


def imagenet(task: Task, split: str, root: Path | None) -> ListedSet:
    """The images of a task's two classes, the classes taking turns.

    Raises UserError if a synset directory is missing; what to fetch is said.
    """
    base = data_folder("imagenet", root, ("imagenet", "ImageNet", "ILSVRC2012"), FETCH)
    folder = _folder(base, split, [SYNSETS[number] for number in task.classes])
    classes = [
        [(f"{SYNSETS[number]}/{file}", number) for file in _images(folder / SYNSETS[number])]
        for number in task.classes
    ]
    turns = [item for turn in zip_longest(*classes) for item in turn if item is not None]
    return ListedSet(
        name="imagenet",
        task=task,
        split=split,
        root=folder,
        data_root=root or base,
        files=[file for file, _ in turns],
        labels=[number for _, number in turns],
        geometry=Geometry(256, 256),
    )


def _folder(base: Path, split: str, synsets: list[str]) -> Path:
    """The folder that has the synset directories: that of the split, or the data folder itself."""
    places = (split, f"ILSVRC/Data/CLS-LOC/{split}", f"Data/CLS-LOC/{split}", ".")
    for place in places:
        if all((base / place / synset).is_dir() for synset in synsets):
            return base / place
    names = " and ".join(str(base / split / synset) for synset in synsets)
    raise UserError(f"synset directories are missing: {FETCH}; looked for {names}")


def _images(folder: Path) -> list[str]:
    files = sorted(e.name for e in os.scandir(folder) if e.name.lower().endswith(_ENDINGS))
    if not files:
        raise UserError(f"{folder} holds no image: {FETCH}")
    return files
