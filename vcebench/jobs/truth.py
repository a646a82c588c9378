"""Which methods explain the classifier, and which published metrics can tell: `vcebench truth`.

Data sets that know their causes give ground truth: true counterfactuals, planted shortcuts, sanity
checks. This module plans the runs, gathers their figures, and correlates the published metrics with
the ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vcebench.data.base import HasTruth
from vcebench.data.registry import dataset_entry, open_dataset
from vcebench.data.synthfaces.shortcuts import SHORTCUTS
from vcebench.errors import UserError, user_errors
from vcebench.jobs import sanity
from vcebench.jobs.plan import SLOW_IMAGES, Planned, existing, is_slow
from vcebench.jobs.sweep import evaluate_on_first
from vcebench.models.shipped import IGNORANT
from vcebench.results.collection import FIELD, committed, committed_usual, write_rows
from vcebench.results.measurements import Measurement, StoredRun, read_csv
from vcebench.results.published import data_folder

IMAGES = 128
METHODS = (
    "maskdime",
    "fastdime",
    "no-mask-s8",
    "maskdime-released",
    "pgd",
    "fixed-mask",
    "fastdime-2plus",
    "dime",
)
"""The most valuable first."""

SLOW_TASKS = ("smile", "smile-shortcut-eyeglasses")
"""Where slow methods are run too, on 32 images."""

GT = ("gt_iou", "gt_precision", "gt_l1", "off_target", "oracle_fr")
CUE = ("cue_recall", "cue_precision", "share_agreement")
GROUND_TRUTH = (*GT, *CUE)
PUBLISHED = ("fid", "sfid", "cout", "s3", "fs", "mnac", "cd")
SANITY = ("sanity_random", "sanity_permuted")
METRICS = (*GROUND_TRUTH, *SANITY, "fr", *PUBLISHED)
"""What the file of a data set holds, in its order."""


def tasks_of(dataset: str) -> tuple[str, ...]:
    """Tasks that ground truth is measured on. Raises `UserError` if the data set has none."""
    with user_errors():
        entry = dataset_entry(dataset)
        known = entry.embedded and isinstance(open_dataset(dataset), HasTruth)
    if not known:
        raise UserError(f"the true counterfactuals of {dataset} are not known; use synthfaces")
    planted = [task.name for task in entry.tasks if task.name in SHORTCUTS]
    return (entry.default_task, *planted)


def truth_plan(dataset: str, limit: int | None = None) -> list[Planned]:
    """The runs of the table, the most valuable first: the task itself, the sanity check, cues.

    Args:
        dataset: one whose causes are known.
        limit: images of every run (default: 128); slow methods and the sanity check stop at 32.

    Raises:
        UserError: the data set does not know its causes.
    """
    images = limit or IMAGES
    first, *planted = tasks_of(dataset)
    fast = [method for method in METHODS if not is_slow(method)]
    slow = [method for method in METHODS if is_slow(method)]
    runs = [Planned(method, dataset, first, images) for method in fast]
    for plan in sanity_plans(dataset, limit):
        runs += plan
    runs += [Planned(method, dataset, task, images) for task in planted for method in fast]
    return runs + [
        Planned(method, dataset, task, min(images, SLOW_IMAGES))
        for task in (first, *planted)
        if task in SLOW_TASKS or task == first
        for method in slow
    ]


def sanity_plans(dataset: str, limit: int | None = None) -> list[list[Planned]]:
    """The runs of every method's sanity check, slow methods apart; none without classifiers."""
    task = tasks_of(dataset)[0]
    if (dataset, task) not in IGNORANT:
        return []
    images = min(limit or sanity.IMAGES, sanity.IMAGES)
    return [sanity.sanity_plan(m, dataset, task, images) for m in METHODS if not is_slow(m)]


def evaluate_shorter(
    dataset: str, stored: Sequence[StoredRun], limit: int | None, threads: int | None
) -> list[Path]:
    """Evaluate longer runs that are reused on the first images alone; returns the files written."""
    written = []
    for wanted in truth_plan(dataset, limit):
        run = existing(wanted, stored)
        if wanted.rungs is None and run is not None and run.config.limit > wanted.limit:
            path = evaluate_on_first(run, wanted.limit, threads)
            written += [path] if path is not None else []
    return written


def gather(
    dataset: str,
    stored: Sequence[StoredRun],
    limit: int | None = None,
    folder: Path | None = None,
) -> list[Measurement]:
    """All figures of the table: those of stored runs, else those committed.

    What is in neither is taken from the committed tables of the papers, whose runs have the same
    settings, with the fewest images that are enough.

    Args:
        dataset: one whose causes are known.
        stored: runs with metrics, from `measurements.stored_runs`.
        limit: images of every run, as in `truth_plan`.
        folder: committed files (default: those of the package).

    Returns:
        One row per (task, method, metric, number of images), in the order of the file.
    """
    path = committed_path(dataset, folder)
    best = {row.key: row for row in (read_csv(path) if path.is_file() else [])}
    for wanted in truth_plan(dataset, limit):
        run = existing(wanted, stored)
        if wanted.rungs is None and run is not None:
            figures = [f for f in run.figures if f.images == wanted.limit and f.metric in METRICS]
            known = {f.key: f for f in figures if f.value is not None or f.key not in best}
            # Committed figures of another number of images would not stand beside these.
            kept = {k: f for k, f in best.items() if not (figures and _outdated(f, wanted))}
            best = kept | known
    tabulated = committed_usual(dataset, folder)
    for wanted in truth_plan(dataset, limit):
        if wanted.rungs is None and not any(_measures(row, wanted) for row in best.values()):
            best |= {row.key: row for row in _in_tables(tabulated, wanted)}
    for plan in sanity_plans(dataset, limit):
        best |= {row.key: row for row in sanity.measurements(plan, stored)}
    tasks = tasks_of(dataset)
    rows = [row for row in best.values() if row.task in tasks and row.method in METHODS]
    return sorted(
        rows,
        key=lambda row: (
            tasks.index(row.task),
            METHODS.index(row.method),
            -row.images,
            METRICS.index(row.metric),
        ),
    )


def beside(
    dataset: str, stored: Sequence[StoredRun], folder: Path | None = None
) -> list[Measurement]:
    """Figures of stored runs that are not planned here, and of the field, for the table alone.

    They are of images made elsewhere, of methods that are no rows of the file, and of other tasks
    of the data set. They enter neither the file of a data set nor the rank correlations.
    """
    tasks = tasks_of(dataset)
    measured = [
        figure
        for run in stored
        if run.config.dataset == dataset and not run.others and run.usual_tau
        for figure in run.figures
    ]
    shown = {
        row.key: row
        for row in (*committed(dataset, FIELD, folder), *measured)
        if row.metric in METRICS and (row.method not in METHODS or row.task not in tasks)
    }
    return list(shown.values())


def _measures(row: Measurement, wanted: Planned) -> bool:
    """Whether a figure is one of a planned run, on at least as many images."""
    return _belongs(row, wanted) and row.images >= wanted.limit


def _outdated(row: Measurement, wanted: Planned) -> bool:
    return _belongs(row, wanted) and row.images != wanted.limit


def _belongs(row: Measurement, wanted: Planned) -> bool:
    own = (row.task, row.method) == (wanted.task, wanted.method)
    return own and row.metric not in SANITY


def _in_tables(rows: Sequence[Measurement], wanted: Planned) -> list[Measurement]:
    enough = [row for row in rows if _measures(row, wanted) and row.metric in METRICS]
    fewest = min((row.images for row in enough), default=0)
    return [row for row in enough if row.images == fewest]


def committed_path(dataset: str, folder: Path | None = None) -> Path:
    """The committed file of a data set."""
    return (folder or data_folder("embedded")) / f"{dataset}-truth.csv"


def export(rows: Sequence[Measurement], dataset: str, folder: Path) -> Path:
    """Write the file. Raises `UserError` if there is nothing to write, or it cannot be written."""
    if not rows:
        raise UserError(f"nothing is measured on {dataset}; `vcebench truth` without --only-stored")
    path = committed_path(dataset, folder)
    write_rows(rows, path)
    return path
