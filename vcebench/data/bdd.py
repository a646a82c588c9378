"""BDD100K and BDD-OIA: whole frames of 1280x720, resized to 512x256.

References: BDD100K (Yu et al., 2020); Explainable Object-Induced Action Decision for Autonomous
Vehicles (Xu et al., 2020), whose "last frames" are BDD-OIA. Class 1 is "move forward".
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

from vcebench.data.base import Task
from vcebench.data.files import Geometry, data_folder, first_present
from vcebench.data.index import cached_index
from vcebench.data.listed import UNLABELLED, ListedSet
from vcebench.errors import UserError

FETCH_100K = (
    "get the 100K images from bdd-data.berkeley.edu and unpack them as images/100k/{train,val,test}"
)
FETCH_OIA = (
    "get lastframe.zip (linked from github.com/Twizwei/bddoia_project) and unpack lastframe/data/ "
    "and lastframe/{train,val,test}_25k_images_actions.json"
)
_NATIVE = (1280, 720)
_GEOMETRY = Geometry(256, 512, fit="stretch", resample="bicubic")
_CONFUSED = 4  # fifth action of some annotations: the annotators could not tell


def bdd100k(task: Task, split: str, root: Path | None) -> ListedSet:
    """One split of BDD100K. It has no action labels: its images are unlabelled.

    Raises UserError if the folder is missing; what to fetch is said.
    """
    base = data_folder("bdd100k", root, ("bdd100k", "BDD100K"), FETCH_100K)
    images = first_present(
        base, (f"images/100k/{split}", f"100k/{split}"), "the folder of images", FETCH_100K
    )
    files = sorted(e.name for e in os.scandir(images) if e.name.lower().endswith(".jpg"))
    labels = [UNLABELLED] * len(files)
    return _frames("bdd100k", task, split, images, root or base, files, labels)


def bddoia(task: Task, split: str, root: Path | None) -> ListedSet:
    """One split of BDD-OIA; frames whose annotators were confused are left out.

    Raises UserError: a file is missing (what to fetch is said) or is no annotation of BDD-OIA.
    """
    base = data_folder("bddoia", root, ("bddoia", "bdd-oia", "BDD-OIA"), FETCH_OIA)
    base = base / "lastframe" if (base / "lastframe").is_dir() else base
    listing = first_present(
        base, (f"{split}_25k_images_actions.json",), "the annotation file", FETCH_OIA
    )
    images = first_present(base, ("data",), "the folder of images", FETCH_OIA)
    table = cached_index("bddoia", (listing,), lambda: _read_actions(listing))
    files = [str(file) for file in table["file"]]
    labels = [int(label) for label in table["forward"]]
    return _frames("bddoia", task, split, images, root or base, files, labels)


def _frames(
    name: str,
    task: Task,
    split: str,
    images: Path,
    data_root: Path,
    files: list[str],
    labels: list[int],
) -> ListedSet:
    return ListedSet(name, task, split, images, data_root, files, labels, _GEOMETRY, _NATIVE)


def _read_actions(path: Path) -> pd.DataFrame:
    """Files in the order of their names, with 1 where "move forward" is among the actions."""
    try:
        content = json.loads(path.read_text())
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        rows = []
        for annotation in content["annotations"]:
            actions = annotation["category"]
            if len(actions) <= _CONFUSED or not actions[_CONFUSED]:
                file = files[annotation["image_id"]]
                rows.append((file, int(bool(actions[0]))))
    except (ValueError, KeyError, TypeError, IndexError, OSError, AttributeError) as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path} is no action file of BDD-OIA ({detail}); get the original"
        ) from error
    return pd.DataFrame(sorted(rows), columns=["file", "forward"])
