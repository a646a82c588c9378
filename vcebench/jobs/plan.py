"""Which runs a table needs on a data set, the most valuable first, and which of them exist."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vcebench.data.base import HasRegions, HasTruth
from vcebench.data.registry import DATASETS, dataset_entry, open_dataset
from vcebench.errors import user_errors
from vcebench.methods.registry import METHODS
from vcebench.models.shipped import FILES, lacking
from vcebench.results.measurements import Measurement, StoredRun, stored_runs
from vcebench.results.tables.layouts import DIVERSITY, STAND_INS, Layout, layout, on_dataset
from vcebench.settings.config import GuidanceConfig
from vcebench.settings.presets import preset

SLOW_IMAGES = 32
"""Images of slow methods, on embedded sets."""

SLOW_EVALUATIONS = 200
"""Evaluations of the prior and backward passes, per image and try, above which a method is slow."""

COMPLEXITY_TAU = 30
COMPLEXITY_IMAGES = 5
COMPLEXITY_METHODS = ("maskdime", "fastdime", "dime")
DIVERSITY_METHODS = ("maskdime", "fastdime", "no-mask-s8", "dime")
DIVERSITY_ELSEWHERE = (
    *("rcsb-c", "dive", "xgem-plus", "svce", "pgd", "inpaint", "fastdime-2plus"),
    *("dvce", "ldce-cls", "ldce-txt", "eced-v", "ace-filter", "ace-l1"),
)
"""Others that draw noise, the fastest first; on embedded sets alone, as no paper prints them."""
DIVERSITY_SEEDS = 5


@dataclass(frozen=True)
class Planned:
    """One run a table needs.

    Attributes:
        method, dataset, task: what to run.
        limit: images; 0 for all.
        batch_size, tau: None for the preset's.
        seeds: number of seeds.
        classifier: the task's, or one that knows nothing of it.
        rungs: the λ_c to try; None for the whole ladder.
    """

    method: str
    dataset: str
    task: str
    limit: int
    batch_size: int | None = None
    tau: int | None = None
    seeds: int = 1
    classifier: str = "task"
    rungs: tuple[float, ...] | None = None

    def arguments(self) -> list[str]:
        """What follows `vcebench` on the command line."""
        words = ["run", "--method", self.method, "--dataset", self.dataset, "--task", self.task]
        words += ["--limit", str(self.limit)]
        for option, value in (("--batch-size", self.batch_size), ("--tau", self.tau)):
            words += [option, str(value)] if value is not None else []
        if self.rungs is not None:
            words += ["--lambda-class", ",".join(f"{rung:g}" for rung in self.rungs)]
        words += ["--classifier", self.classifier] if self.classifier != "task" else []
        return words + (["--seeds", str(self.seeds)] if self.seeds > 1 else [])

    @property
    def command(self) -> str:
        """The complete command."""
        return shlex.join(["vcebench", *self.arguments()])


def is_slow(method: str) -> bool:
    """Whether a method evaluates the prior so often, forward and backward, that few images do."""
    return method in METHODS and sum(METHODS[method].factory().evaluations()) > SLOW_EVALUATIONS


def table_on(table: str, dataset: str) -> Layout:
    """The paper's table on a data set. Raises `UserError` if there is no such table."""
    return on_dataset(layout(table), dataset, tasks_of(dataset))


def tasks_of(dataset: str) -> tuple[str, ...]:
    """Names of a data set's tasks. Raises `UserError` with the nearest names if it is unknown."""
    if dataset in STAND_INS and dataset not in DATASETS:
        return ()
    with user_errors():
        return tuple(task.name for task in dataset_entry(dataset).tasks)


def plan(table: str, dataset: str, limit: int | None = None) -> list[Planned]:
    """The runs of a table, the most valuable first.

    Args:
        table: "1" … "5", "7" or "diversity".
        dataset: data set to measure on.
        limit: images a row; default: the table's number on embedded sets, else all. Slow methods
            stop at 32 images on embedded sets.

    Raises:
        UserError: no such table, or the table is not about that data set.
    """
    embedded = dataset in STAND_INS
    if table == DIVERSITY:
        images = min(limit or SLOW_IMAGES, SLOW_IMAGES) if embedded else limit or 1000
        (task, *_) = [group.task for group in table_on("4", dataset).groups]
        return [
            Planned(method, dataset, task, images, seeds=DIVERSITY_SEEDS)
            for method in _diverse(dataset, task)
        ]
    shown = table_on(table, dataset)
    default = shown.images if embedded else (1000 if shown.batch_size else 0)
    images = _available(dataset, default if limit is None else limit)
    runs = []
    for task in dict.fromkeys(group.task for group in shown.groups):
        for method in shown.methods:
            few = embedded and is_slow(method)
            count = min(images or SLOW_IMAGES, SLOW_IMAGES) if few else images
            runs.append(Planned(method, dataset, task, count, shown.batch_size))
    if "complexity" in shown.metrics:
        task, batch = shown.groups[0].task, shown.batch_size
        runs += [
            Planned(method, dataset, task, COMPLEXITY_IMAGES, batch, COMPLEXITY_TAU)
            for method in COMPLEXITY_METHODS
        ]
    return runs


def _diverse(dataset: str, task: str) -> list[str]:
    """The methods whose diversity is asked for: on an embedded set all that draw noise and run."""
    if dataset not in FILES:
        return list(DIVERSITY_METHODS)
    *quick, slow = DIVERSITY_METHODS
    able = [method for method in DIVERSITY_ELSEWHERE if unable(method, dataset, task) is None]
    return [*quick, *able, slow]


def unable(method: str, dataset: str, task: str) -> str | None:
    """Why a method cannot run on a task of an embedded set; None if it can. Nothing is loaded."""
    entry = METHODS[method]
    reason = lacking(dataset, dataset_entry(dataset).task(task), entry.factory.needs)
    if reason is None and entry.region is not None:
        images = open_dataset(dataset, task)
        if entry.region == "truth" and not isinstance(images, HasTruth | HasRegions):
            return f"the true region of {dataset} {task} is not known"
    return reason


def _available(dataset: str, images: int) -> int:
    """A number of images, at most those of the test split of an embedded set."""
    if dataset not in DATASETS or not dataset_entry(dataset).embedded:
        return images
    with user_errors():
        total = len(open_dataset(dataset))
    return min(images or total, total)


def existing(wanted: Planned, stored: Sequence[StoredRun]) -> StoredRun | None:
    """A stored run that is, or holds, what is wanted."""
    return next((run for run in stored if _holds(run, wanted)), None)


def _holds(run: StoredRun, wanted: Planned) -> bool:
    config = run.config
    same = (config.method, config.dataset, config.task) == (
        wanted.method,
        wanted.dataset,
        wanted.task,
    )
    if not same or set(run.others) != set(_deviations(wanted)):
        return False
    if wanted.batch_size is not None and config.batch_size != wanted.batch_size:
        return False
    # Methods may have a τ of their own by their preset.
    if not (run.usual_tau if wanted.tau is None else config.settings.get("tau") == wanted.tau):
        return False
    evaluated = max((figure.images for figure in run.figures), default=0)
    if evaluated < (wanted.limit or _total(run)):
        return False
    return wanted.seeds == 1 or _has_diversity(run, wanted.seeds)


def _deviations(wanted: Planned) -> list[str]:
    """How a planned run differs from the preset, in the words of `measurements.deviations`."""
    found = [f"classifier={wanted.classifier}"] if wanted.classifier != "task" else []
    if wanted.rungs is not None:
        usual = preset(wanted.dataset, wanted.task).class_factor
        guidance = GuidanceConfig(class_factor=usual, lambda_class=wanted.rungs)
        found += [f"guidance={guidance}"]
    return found


def _total(run: StoredRun) -> int:
    """Images of the split a run is about: here, or by the protocol where the data is not here."""
    config = run.config
    with suppress(ValueError):
        return len(open_dataset(config.dataset, config.task, config.split))
    return dataset_entry(config.dataset).images or config.limit


def _has_diversity(run: StoredRun, seeds: int) -> bool:
    wanted = f"0-{seeds - 1}"
    return any(
        f.metric == "sigma_l" and f.value is not None and f.seed == wanted for f in run.figures
    )


def missing(planned: Sequence[Planned], stored: Sequence[StoredRun]) -> list[Planned]:
    """The planned runs that do not exist."""
    return [wanted for wanted in planned if existing(wanted, stored) is None]


def _has_figures(wanted: Planned, measured: Sequence[Measurement]) -> bool:
    telling = "nfe_per_try" if wanted.batch_size is None else "time"
    if wanted.tau is not None:
        telling = "complexity"  # what runs of a second length are for
    return any(
        (row.dataset, row.task, row.method) == (wanted.dataset, wanted.task, wanted.method)
        and row.images >= wanted.limit > 0
        and row.metric == telling
        for row in measured
    )


def commands_that_fill(
    shown: Layout,
    dataset: str,
    runs: Path,
    limit: int | None = None,
    measured: Sequence[Measurement] = (),
) -> list[str]:
    """The sweep that measures what a table lacks on a data set, and the runs it makes.

    Runs whose figures are among the measured ones, which may be committed, are not lacking.
    """
    if not shown.source.startswith("maskdime"):
        return []
    stored = stored_runs(runs)[0]
    planned = missing(plan(shown.number, dataset, limit), stored)
    lacking = [wanted for wanted in planned if not _has_figures(wanted, measured)]
    if not lacking:
        return []
    sweep_command = f"vcebench sweep --table {shown.number} --dataset {dataset}"
    return [sweep_command, *(wanted.command for wanted in lacking)]
