"""The figures of the field: of every method that ran as its presets say, on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vcebench.data.registry import dataset_entry
from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.jobs.field import FIELD, IMAGES, field_plan
from vcebench.jobs.plan import Planned, existing, tasks_of
from vcebench.jobs.sweep import evaluate_on_first
from vcebench.methods.registry import METHODS
from vcebench.models.shipped import digests
from vcebench.results.collection import FIELD as TABLE
from vcebench.results.collection import Collection, chosen, committed, file_name, write_rows
from vcebench.results.measurements import Measurement, StoredRun

FIGURES = (
    *("fr", "oracle_fr", "gt_precision", "gt_iou", "gt_l1", "off_target"),
    *("cue_recall", "cue_precision", "share_agreement"),
    *("fid", "sfid", "kid", "cout", "s3", "fs", "mnac", "cd", "fva", "l1"),
    *("nfe", "nfe_per_try", "backward_per_image"),
)
"""What the file of a data set holds, in its order; no times, as the runs of a field are made beside
other work."""


def gather(dataset: str, stored: Iterable[StoredRun], folder: Path | None = None) -> Collection:
    """One figure per (task, method, metric): of stored runs, else committed.

    Args:
        dataset: an embedded set.
        stored: runs with metrics, from `measurements.stored_runs`.
        folder: committed files (default: those of the package).

    Returns:
        Figures of the first 64 images, in the order of the file; of methods that are not of the
        field too, if they ran. Runs with other networks than those that ship now are left out, with
        a remark each.
    """
    best = {row.key: row for row in committed(dataset, TABLE, folder)}
    fresh, remarks = [], []
    for run in _own(dataset, stored):
        if (line := _outdated(run)) is not None:
            remarks.append(line)
            continue
        fresh += [f for f in run.figures if f.images == IMAGES and f.metric in FIGURES]
    best |= {row.key: row for row in chosen(fresh)}
    tasks = tasks_of(dataset)
    order = list(dict.fromkeys([*FIELD, *METHODS]))
    rows = [row for row in best.values() if row.method in METHODS and row.task in tasks]
    rows.sort(key=lambda r: (tasks.index(r.task), order.index(r.method), FIGURES.index(r.metric)))
    return Collection(tuple(rows), tuple(remarks))


def _own(dataset: str, stored: Iterable[StoredRun]) -> list[StoredRun]:
    """Runs of registered methods as the data set's presets say."""
    return [
        run
        for run in stored
        if run.config.dataset == dataset and run.config.method in METHODS
        if not run.others and run.usual_tau
    ]


def _outdated(run: StoredRun) -> str | None:
    """A line if a run's images were made with other networks than ship now; else None."""
    config = run.config
    task = dataset_entry(config.dataset).task(config.task)
    now = digests(config.dataset, task, METHODS[config.method].factory.needs)
    then = {role: net["sha256"] for role, net in RunFolder(run.path).manifest()["networks"].items()}
    others = sorted(role for role in now.keys() & then.keys() if now[role] != then[role])
    if not others:
        return None
    return f"{run.path} is left out: made with another {', '.join(others)} network than ships now"


def evaluate_longer(
    dataset: str, stored: Sequence[StoredRun], threads: int | None = None
) -> list[Path]:
    """Evaluate longer runs of the field on its images alone; returns the files written."""
    found = [existing(wanted, stored) for wanted in field_plan(dataset).planned]
    longer = [run for run in found if run is not None and run.config.limit != IMAGES]
    written = [evaluate_on_first(run, IMAGES, threads) for run in longer]
    return [path for path in written if path is not None]


def export(rows: Iterable[Measurement], dataset: str, folder: Path) -> Path:
    """Write the file of a data set.

    Raises:
        UserError: nothing is measured, or it cannot be written.
    """
    kept = list(rows)
    if not kept:
        raise UserError(f"nothing is measured on {dataset}; run the sweep first")
    path = folder / file_name(dataset, TABLE)
    write_rows(kept, path)
    return path


def waiting(dataset: str, rows: Iterable[Measurement]) -> list[Planned]:
    """The runs of the field that no figure stands for yet."""
    there = {(row.task, row.method) for row in rows if row.value is not None}
    return [w for w in field_plan(dataset).planned if (w.task, w.method) not in there]
