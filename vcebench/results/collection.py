"""The measured figures at hand for a table: stored runs, and what is committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vcebench.folders.images import write_atomic
from vcebench.folders.store import writing
from vcebench.results.measurements import (
    Measurement,
    StoredRun,
    complexities,
    read_csv,
    stored_runs,
    to_csv,
)
from vcebench.results.published import data_folder
from vcebench.results.tables.layouts import DIVERSITY, LAYOUTS, Layout

FIELD = "field"
"""Nor is this one: every method of the package on the same first images."""

TABLES = ("1", "2", "3", "4", "5", "7", DIVERSITY)


USUAL_TABLES = tuple(
    entry.number
    for entry in LAYOUTS
    if entry.source.startswith("maskdime") and entry.batch_size is None
)
"""Those whose runs differ in nothing but the method, so that a row of one serves all."""


@dataclass(frozen=True)
class Collection:
    """Measured figures, one per key, and remarks on what was left out."""

    rows: tuple[Measurement, ...]
    remarks: tuple[str, ...] = ()


def file_name(dataset: str, table: str) -> str:
    """Name of the committed file of a data set and table."""
    return (
        f"{dataset}-{table}.csv" if table in (DIVERSITY, FIELD) else f"{dataset}-table{table}.csv"
    )


def write_rows(rows: Iterable[Measurement], path: Path) -> None:
    """Write a committed file. Raises `UserError` if it cannot be written."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, to_csv(rows).encode())


def committed(dataset: str, table: str, folder: Path | None = None) -> list[Measurement]:
    """Committed rows of a data set and table; none if there is no such file."""
    path = (folder or data_folder("embedded")) / file_name(dataset, table)
    return read_csv(path) if path.is_file() else []


def committed_usual(dataset: str, folder: Path | None = None) -> list[Measurement]:
    """Committed rows of a data set from all tables whose runs have the preset's settings."""
    numbers = (FIELD, *USUAL_TABLES)
    return [row for number in numbers for row in committed(dataset, number, folder)]


def collect(
    datasets: Iterable[str],
    table: Layout | None,
    runs: Path,
    folder: Path | None = None,
) -> Collection:
    """Everything measured for a table on some data sets.

    Args:
        datasets: their names.
        table: its layout; None for the paragraph on diversity.
        runs: folder below which run folders lie; what they say goes before what is committed.
        folder: committed files (default: those of the package).
    """
    stored, remarks = stored_runs(runs)
    return gather(datasets, table, stored, remarks, folder)


def gather(
    datasets: Iterable[str],
    table: Layout | None,
    stored: Sequence[StoredRun],
    remarks: Sequence[str] = (),
    folder: Path | None = None,
) -> Collection:
    """`collect` from runs that are read already."""
    names = list(datasets)
    own = [run for run in stored if run.config.dataset in names]
    rows = from_runs(own, table)
    left_out = [
        f"{run.path} is left out: {', '.join(run.others)} differs from the preset"
        for run in own
        if run.others
    ]
    old = [row for name in names for row in _committed_for(table, name, folder)]
    best = {row.key: row for row in chosen(old)}
    for row in chosen(rows):
        if row.value is not None or row.key not in best:
            best[row.key] = row
    return Collection(tuple(best.values()), (*remarks, *left_out))


def _committed_for(table: Layout | None, dataset: str, folder: Path | None) -> list[Measurement]:
    if table is None:
        return committed(dataset, DIVERSITY, folder)
    if not table.source.startswith("maskdime"):
        return []
    if table.number in USUAL_TABLES:
        return committed_usual(dataset, folder)
    return committed(dataset, table.number, folder)


def from_runs(runs: Iterable[StoredRun], table: Layout | None) -> list[Measurement]:
    """Figures of the runs that a table accepts: the preset's settings, and the table's batch."""
    batch = None if table is None else table.batch_size
    fitting = [
        run for run in runs if not run.others and (batch is None or run.config.batch_size == batch)
    ]
    usual = [run for run in fitting if run.usual_tau]
    rows = [row for run in usual for row in run.figures]
    return rows + complexities(fitting)


def chosen(rows: Iterable[Measurement]) -> list[Measurement]:
    """One row per key: one with a value, of the lowest seed, the latest."""
    best: dict[tuple[str, str, str, str, int], Measurement] = {}
    for row in rows:
        if row.key not in best or _worth(row) > _worth(best[row.key]):
            best[row.key] = row
    return list(best.values())


def _worth(row: Measurement) -> tuple[bool, int, str]:
    seed = row.seed.partition("-")[0]
    return (row.value is not None, -int(seed) if seed.isdigit() else 0, row.date)


def all_measured(
    dataset: str,
    stored: Sequence[StoredRun],
    remarks: Sequence[str] = (),
    folder: Path | None = None,
) -> Collection:
    """Figures of every table of the paper on one data set, each measured as its table asks.

    Args:
        dataset: its name.
        stored, remarks: from `vcebench.results.measurements.stored_runs`.
        folder: committed files (default: those of the package).
    """
    rows: list[Measurement] = []
    for table in (entry for entry in LAYOUTS if entry.source.startswith("maskdime")):
        found = gather([dataset], table, stored, remarks, folder)
        machine = table.batch_size is not None
        rows += [row for row in found.rows if _for_claims(row, machine)]
        remarks = list(dict.fromkeys([*remarks, *found.remarks]))
    rows += [
        row for row in gather([dataset], None, stored, (), folder).rows if row.metric == "sigma_l"
    ]
    return Collection(tuple(chosen(rows)), tuple(remarks))


def _for_claims(row: Measurement, machine: bool) -> bool:
    """Time, memory and complexity count as the efficiency table measures them, others elsewhere."""
    return (row.metric in ("time", "peak_memory", "complexity")) == machine
