"""The published figures: printed numbers, claims, data sets and settings, read and checked.

The CSV files live in `results/published` (in a wheel: `vcebench/published_data`), where a README
says what every column means. Values stay as printed; `PublishedFigure.number` parses them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

SOURCES = ("maskdime", "maskdime-supp", "rcsb", "eced", "dime")
FIGURE_FILES = ("maskdime", "rcsb", "eced", "dime")
DATASET_NAMES = ("celeba", "celebahq", "bdd100k", "bddoia", "imagenet")
PUBLISHED_TASKS = (
    "smile",
    "age",
    "forward-slowdown",
    "sorrel-zebra",
    "persian-egyptian",
    "cougar-cheetah",
)
PUBLISHED_METRICS = (
    *("fid", "sfid", "fva", "fs", "mnac", "cd", "cout", "s3", "fr", "sigma_l", "fid_plus"),
    *("l1", "l15", "l2", "total_time_s", "peak_memory_mb", "complexity", "seconds_per_image"),
    "background_loss",
)
RELATIONS = ("<", ">", "<=", ">=", "=", "~", "rank<=")

_COMPLEXITY = re.compile(r"O\([A-Z^0-9]+\)")
_MARGIN = re.compile(r"(factor|abs|pct):(\d+(?:\.\d+)?)")
_PACKAGE = Path(__file__).resolve().parents[1]


class PublishedDataError(ValueError):
    """A file of published figures is missing or does not hold what it should."""


@dataclass(frozen=True)
class PublishedFigure:
    """One printed number.

    Attributes:
        source: document it stands in.
        table: number of the table, or "text".
        dataset, task: what it is about; empty where the document does not say.
        method, metric: ids (see the README of the files).
        value: as printed.
        cited_from: "own", or the papers it is taken from.
        note: what else is known.
    """

    source: str
    table: str
    dataset: str
    task: str
    method: str
    metric: str
    value: str
    cited_from: str
    note: str

    @property
    def number(self) -> float | None:
        """The value as a number; None for a complexity."""
        return None if self.metric == "complexity" else float(self.value)


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper that a measurement could contradict.

    Attributes:
        id, source, claim: name, document, sentence.
        dataset, task, metric: what it is about; empty where the document does not say.
        left_method: id of the method it speaks of.
        relation: one of `RELATIONS`.
        right_method_or_value: id of another method, or a number.
        margin: "factor:N", "abs:N", "pct:N" or empty.
        quote_location: where it stands.
    """

    id: str
    source: str
    claim: str
    dataset: str
    task: str
    metric: str
    left_method: str
    relation: str
    right_method_or_value: str
    margin: str
    quote_location: str

    @property
    def limit(self) -> tuple[str, float] | None:
        """The margin as (kind, number)."""
        found = _MARGIN.fullmatch(self.margin)
        return (found[1], float(found[2])) if found else None


@dataclass(frozen=True)
class PublishedDataset:
    """A row of the paper's table of data sets and models (supplement, Table 6)."""

    source: str
    table: str
    dataset: str
    dataset_printed: str
    domain: str
    resolution: str
    n_images: str
    tasks: str
    attributes_or_classes: str
    ddpm_weights: str
    classifier: str
    classifier_weights: str
    split: str
    note: str


@dataclass(frozen=True)
class Hyperparameter:
    """A setting stated by a paper; an empty value means the text at hand lacks it."""

    source: str
    method: str
    dataset: str
    task: str
    name: str
    value: str
    location: str


Entry = TypeVar("Entry", PublishedFigure, Claim, PublishedDataset, Hyperparameter)


def data_folder(kind: str) -> Path:
    """Folder of packaged results: "published" or "embedded".

    Beside the package in a checkout (also when installed editable), within it in a wheel.
    """
    inside = _PACKAGE / f"{kind}_data"
    return inside if inside.is_dir() else _PACKAGE.parent / "results" / kind


@lru_cache
def figures() -> tuple[PublishedFigure, ...]:
    """All printed numbers, in the order of the documents. Raises `PublishedDataError`."""
    found: list[PublishedFigure] = []
    for name in FIGURE_FILES:
        found += read_entries(data_folder("published") / f"{name}.csv", PublishedFigure)
    return tuple(found)


@lru_cache
def claims() -> tuple[Claim, ...]:
    """All claims. Raises `PublishedDataError`."""
    return tuple(read_entries(data_folder("published") / "claims.csv", Claim))


@lru_cache
def datasets() -> tuple[PublishedDataset, ...]:
    """The published data sets and models. Raises `PublishedDataError`."""
    return tuple(read_entries(data_folder("published") / "datasets.csv", PublishedDataset))


@lru_cache
def hyperparameters() -> tuple[Hyperparameter, ...]:
    """The stated settings. Raises `PublishedDataError`."""
    return tuple(read_entries(data_folder("published") / "hyperparameters.csv", Hyperparameter))


def read_entries(path: Path, kind: type[Entry]) -> list[Entry]:
    """Checked entries of one file.

    Raises:
        PublishedDataError: the file is missing, its columns differ, a value is not one that column
            can have, or a key stands twice; the message names file and line.
    """
    columns = [field.name for field in fields(kind)]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise PublishedDataError(f"{path} cannot be read; install the package again") from error
    if reader.fieldnames != columns:
        raise PublishedDataError(f"{path}: columns are {reader.fieldnames}, expected {columns}")
    entries = []
    for line, row in enumerate(rows, start=2):
        if any(not isinstance(value, str) for value in row.values()) or None in row:
            raise PublishedDataError(f"{path}, line {line}: expected {len(columns)} values")
        entry = kind(**row)
        for complaint in _complaints(entry):
            raise PublishedDataError(f"{path}, line {line}: {complaint}")
        entries.append(entry)
    _check_unique(path, entries)
    return entries


def _complaints(entry: object) -> Iterable[str]:
    if isinstance(entry, PublishedFigure):
        yield from _common(entry.source, entry.dataset, entry.task)
        if entry.metric not in PUBLISHED_METRICS:
            yield f"unknown metric {entry.metric!r}"
        if not _is_value(entry.metric, entry.value):
            yield f"{entry.value!r} is no value of {entry.metric}"
    elif isinstance(entry, Claim):
        yield from _common(entry.source, entry.dataset, entry.task)
        yield from _claim_complaints(entry)
    elif isinstance(entry, PublishedDataset):
        yield from _common(entry.source, entry.dataset, "")
        if not entry.n_images.isdigit():
            yield f"{entry.n_images!r} is no number of images"
    elif isinstance(entry, Hyperparameter):
        yield from _common(entry.source, entry.dataset, entry.task)


def _common(source: str, dataset: str, task: str) -> Iterable[str]:
    for kind, value, known in (
        ("source", source, SOURCES),
        ("data set", dataset, (*DATASET_NAMES, "")),
        ("task", task, (*PUBLISHED_TASKS, "")),
    ):
        if value not in known:
            yield f"unknown {kind} {value!r}"


def _claim_complaints(claim: Claim) -> Iterable[str]:
    if claim.metric not in (*PUBLISHED_METRICS, "network_evaluations"):
        yield f"unknown metric {claim.metric!r}"
    if claim.relation not in RELATIONS:
        yield f"unknown relation {claim.relation!r}"
    if claim.margin and claim.limit is None:
        yield f"unknown margin {claim.margin!r}"
    if claim.relation == "rank<=" and not claim.right_method_or_value.isdigit():
        yield f"{claim.right_method_or_value!r} is no rank"


def _is_value(metric: str, value: str) -> bool:
    if metric == "complexity":
        return _COMPLEXITY.fullmatch(value) is not None
    try:
        float(value)
    except ValueError:
        return False
    return True


def _check_unique(path: Path, entries: list[Entry]) -> None:
    """Keys stand once; ECED's Tables 3 and 4 differ only in value and note."""
    seen: set[tuple[str, ...]] = set()
    for entry in entries:
        if isinstance(entry, Claim):
            key: tuple[str, ...] = (entry.id,)
        elif isinstance(entry, PublishedFigure):
            key = (entry.source, entry.table, entry.dataset, entry.task, entry.method, entry.metric)
            if entry.source == "eced" and entry.table in ("3", "4"):
                key = (*key, entry.value, entry.note)
        else:
            continue
        if key in seen:
            raise PublishedDataError(f"{path}: {' '.join(key)} stands twice")
        seen.add(key)
