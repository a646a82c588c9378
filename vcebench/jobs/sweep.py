"""Make the runs a table lacks, one after the other, and export their figures."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vcebench.errors import StoppedError, UserError
from vcebench.folders import inside
from vcebench.folders.runfolder import METRICS
from vcebench.folders.store import writing
from vcebench.jobs.plan import (
    DIVERSITY_ELSEWHERE,
    DIVERSITY_METHODS,
    Planned,
    existing,
    is_slow,
    plan,
    table_on,
)
from vcebench.methods.registry import METHODS
from vcebench.results.collection import file_name, gather, write_rows
from vcebench.results.measurements import Measurement, StoredRun, stored_runs
from vcebench.results.tables.layouts import DIVERSITY, TRUTH
from vcebench.settings.config import Setting
from vcebench.settings.request import Request, resolve

_INTERRUPTED, _OUT_OF_TIME = 130, 124


@dataclass(frozen=True)
class Outcome:
    """What became of a planned run: "there", "missing", "done", "failed" or, in time, "left"."""

    planned: Planned
    state: str
    path: str = ""


def sweep(
    planned: Sequence[Planned],
    runs: Path,
    threads: int | None,
    say: Callable[[str], None],
    execute: Callable[[Sequence[str]], int] | None = None,
    data_root: Path | None = None,
    budget: float | None = None,
) -> list[Outcome]:
    """Make the runs that are missing, each in its own process (peak memory is a process's).

    Args:
        planned: from `plan`.
        runs: folder of the run folders.
        threads: of every run.
        say: takes a line for people.
        execute: runs a command line and returns its exit code.
        data_root: folder of a data set that does not ship with the package.
        budget: seconds for all of them; then the run in progress is interrupted and, like those
            that were not begun, left for the next time.

    Raises:
        StoppedError: interrupted; what is done stays, the same command continues.
    """
    outcomes = []
    stored, _ = stored_runs(runs)
    begun = time.monotonic()
    for number, wanted in enumerate(planned, start=1):
        if (found := existing(wanted, stored)) is not None:
            outcomes.append(Outcome(wanted, "there", str(found.path)))
            continue
        left = None if budget is None else budget - (time.monotonic() - begun)
        if left is not None and left <= 0:
            outcomes.append(Outcome(wanted, "left"))
            continue
        say(f"run {number} of {len(planned)}: {wanted.command}")
        path = output_of(wanted, runs, data_root)
        words = [*wanted.arguments(), "--output", str(path), "--format", "csv"]
        words += ["--threads", str(threads)] if threads else []
        words += ["--data-root", str(data_root)] if data_root else []
        try:
            code = _execute(words, left) if execute is None else execute(words)
        except KeyboardInterrupt:
            code = _INTERRUPTED
        if code == _OUT_OF_TIME:
            outcomes.append(Outcome(wanted, "left", str(path)))
            continue
        if code == _INTERRUPTED:
            raise StoppedError(
                f"stopped in run {number} of {len(planned)}; the same command continues"
            )
        outcomes.append(Outcome(wanted, "failed" if code else "done", str(path)))
    return outcomes


def output_of(
    wanted: Planned,
    runs: Path,
    data_root: Path | None = None,
    device: str = "auto",
    precision: str = "exact",
) -> Path:
    """The folder `vcebench run` would choose. Raises `UserError` if the request is not usable."""
    settings: dict[str, Setting] = {}
    if wanted.tau is not None:
        settings["tau"] = wanted.tau
    config, _ = resolve(
        Request(
            method=wanted.method,
            dataset=wanted.dataset,
            task=wanted.task,
            limit=wanted.limit,
            batch_size=wanted.batch_size,
            settings=settings,
            guidance={} if wanted.rungs is None else {"lambda_class": wanted.rungs},
            classifier=wanted.classifier,
            device=device,
            precision=precision,
            data_root=data_root,
        )
    )
    return runs / config.folder_name(wanted.seeds)


def _execute(words: Sequence[str], seconds: float | None) -> int:
    """A run of ours in a process of its own; its metrics are read from its folder afterwards."""
    line = [sys.executable, "-m", "vcebench.cli", *words]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # as Ctrl-C: what is finished is stored, the run continues later
            process.wait()
            return _OUT_OF_TIME


def evaluate_first(
    stored: Sequence[StoredRun],
    planned: Sequence[Planned],
    threads: int | None,
    data_root: Path | None = None,
) -> list[Path]:
    """Evaluate the runs of a table on as few images as its slow rows have, where they differ.

    Writes `metrics-first-N.json` into those run folders and returns the files.
    """
    usual = [wanted for wanted in planned if wanted.tau is None and wanted.limit]
    counts = sorted({wanted.limit for wanted in usual if is_slow(wanted.method)})
    written = []
    for run in (r for r in (existing(wanted, stored) for wanted in planned) if r is not None):
        for images in counts:
            if images < run.config.limit and run.usual_tau:
                path = evaluate_on_first(run, images, threads, data_root)
                written += [path] if path is not None else []
    return written


def evaluate_on_first(
    run: StoredRun, images: int, threads: int | None, data_root: Path | None = None
) -> Path | None:
    """Evaluate a run on its first images; returns the file, None if it is there already."""
    name = f"metrics-first-{images}.json"
    if _is_stale(run.path / name, run.path / METRICS):
        return _evaluate(run.path, images, name, threads, data_root)
    return None


def _is_stale(path: Path, metrics: Path) -> bool:
    """Whether a file is missing, or older than the run's last evaluation."""
    try:
        return path.lstat().st_mtime < metrics.lstat().st_mtime
    except FileNotFoundError:
        return True


def _evaluate(
    folder: Path, images: int, name: str, threads: int | None, data_root: Path | None
) -> Path:
    from vcebench.evaluating.summary import document
    from vcebench.formats import dump
    from vcebench.jobs.session import measure_again

    (result,) = measure_again(folder, images, threads=threads, data_root=data_root)
    text = dump(document(result.folder, result.evaluation)) + "\n"
    with writing(folder):
        inside.write_lasting(folder, name, text.encode())
    return folder / name


def export(table: str, dataset: str, runs: Path, folder: Path) -> Path:
    """Write the committed file of a table from stored runs.

    Rows of runs that are no longer there stay as they are in the file.

    Raises:
        UserError: nothing is measured, or the file cannot be written.
    """
    stored, remarks = stored_runs(runs)
    shown = None if table == DIVERSITY else table_on(table, dataset)
    found = gather([dataset], shown, stored, remarks, folder)
    rows = exported(found.rows, table, dataset)
    if not rows:
        raise UserError(f"nothing is measured for table {table} on {dataset}; run the sweep first")
    path = folder / file_name(dataset, table)
    write_rows(rows, path)
    return path


def exported(rows: Sequence[Measurement], table: str, dataset: str) -> list[Measurement]:
    """Rows of a file: the table's metrics and methods, in the order of its plan."""
    if table == DIVERSITY:
        kept = [row for row in rows if row.metric == "sigma_l" and row.value is not None]
        order = list(dict.fromkeys([*DIVERSITY_METHODS, *DIVERSITY_ELSEWHERE, *METHODS]))
        return sorted(kept, key=lambda row: order.index(row.method))
    shown = table_on(table, dataset)
    metrics = [*shown.metrics, *shown.added]
    metrics += [metric for metric in (*TRUTH, "nfe_per_try") if metric not in metrics]
    tasks = [group.task for group in shown.groups]
    sizes = {wanted.limit for wanted in plan(table, dataset)}
    kept = [
        row
        for row in rows
        if row.method in shown.methods and row.metric in metrics and row.task in tasks
    ]
    largest = max((row.images for row in kept), default=0)
    kept = [row for row in kept if row.images in sizes | {largest}]
    return sorted(
        kept,
        key=lambda row: (
            tasks.index(row.task),
            shown.methods.index(row.method),
            -row.images,
            metrics.index(row.metric),
        ),
    )
