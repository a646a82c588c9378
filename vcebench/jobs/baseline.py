"""Regression pins: metric rows of a small fixed subset, compared with results/baseline/*.json.

A condition is a method on the first images of a task, one method of every family at least; its
file holds the command, the metrics and the tolerance of each. Runs are bit-equal on one machine and
build; the tolerances leave room for another processor's rounding, which can flip an image or move a
mask's edge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcebench.errors import UserError
from vcebench.folders.images import write_atomic
from vcebench.formats import Table, dump
from vcebench.jobs.session import run_and_measure
from vcebench.metrics.registry import metric
from vcebench.settings.request import Request, resolve

FOLDER = Path("results/baseline")
IMAGES = 16
RELATIVE = 0.1
"""Part of a value by which another build may differ."""
UNPINNED = ("time", "peak_memory")


@dataclass(frozen=True)
class Condition:
    """One pinned run.

    Attributes:
        method: id of the method.
        dataset, task: what it explains.
    """

    method: str
    dataset: str = "synthfaces"
    task: str = "smile"

    @property
    def name(self) -> str:
        """Stem of its file."""
        return f"{self.dataset}-{self.task}-{self.method}"

    @property
    def command(self) -> str:
        """The command that makes the run by hand."""
        return (
            f"vcebench run --method {self.method} --dataset {self.dataset} --task {self.task} "
            f"--limit {IMAGES} --batch-size {IMAGES // 2}"
        )

    def request(self) -> Request:
        """The run itself; two batches, so that two cores share it."""
        return Request(
            method=self.method,
            dataset=self.dataset,
            task=self.task,
            limit=IMAGES,
            batch_size=IMAGES // 2,
            device="cpu",
        )


CONDITIONS = (
    *(Condition("maskdime"), Condition("fastdime"), Condition("no-mask-s8"), Condition("pgd")),
    Condition("svce", "digits", "3-8-robust"),
    Condition("dvce", "digits", "3-8-plain"),
    Condition("rcsb-c", "digits", "3-8"),
    Condition("ace-l1", "digits", "3-8"),
    Condition("dive", "digits", "3-8"),
    Condition("ldce-cls", "digits", "3-8"),
)


@dataclass(frozen=True)
class Deviation:
    """A metric whose value left its tolerance; None stands for a missing value."""

    condition: str
    metric: str
    pinned: float | None
    measured: float | None
    tolerance: float

    def __str__(self) -> str:
        return (
            f"{self.condition}: {self.metric} is {self.measured}, pinned {self.pinned} "
            f"± {self.tolerance:g}"
        )


def measure(condition: Condition, runs: Path) -> dict[str, float | None]:
    """Metrics of a condition, from a run in the folder `runs`; None where missing."""
    config, images = resolve(condition.request())
    result = run_and_measure(config, images, runs / condition.name)
    values = result.evaluation.values
    return {id: value.value for id, value in values.items() if id not in UNPINNED}


def tolerance(id: str, value: float | None) -> float:
    """How far a metric may move: a tenth, and one image of the subset for shares."""
    one_image = 100.0 / IMAGES if metric(id).unit == "%" else 0.02
    return max(RELATIVE * abs(value or 0.0), one_image)


def pinned(condition: Condition, folder: Path = FOLDER) -> dict[str, Any]:
    """The stored file of a condition. Raises `UserError` if there is none."""
    path = folder / f"{condition.name}.json"
    if not path.exists():
        raise UserError(f"{path} is missing; write it with `vcebench baseline update`")
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def deviations(
    condition: Condition, measured: Mapping[str, float | None], stored: Mapping[str, Any]
) -> Iterator[Deviation]:
    """Metrics that differ from the pins by more than their tolerance, or appear or vanish."""
    pins = stored["metrics"]
    for id in sorted(pins.keys() | measured.keys()):
        pin = pins.get(id, {"value": None, "tolerance": 0.0})
        value, allowed = measured.get(id), float(pin["tolerance"])
        both_missing = value is None and pin["value"] is None
        close = (
            value is not None and pin["value"] is not None and abs(value - pin["value"]) <= allowed
        )
        if not both_missing and not close:
            yield Deviation(condition.name, id, pin["value"], value, allowed)


def update(condition: Condition, runs: Path, folder: Path = FOLDER) -> Table:
    """Measure a condition, rewrite its file, and return what changed, metric by metric."""
    measured = measure(condition, runs)
    path = folder / f"{condition.name}.json"
    before = pinned(condition, folder)["metrics"] if path.exists() else {}
    pins = {id: {"value": v, "tolerance": tolerance(id, v)} for id, v in measured.items()}
    content = {"command": condition.command, "images": IMAGES, "metrics": pins}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (dump(content) + "\n").encode())
    rows = [
        {
            "condition": condition.name,
            "metric": id,
            "before": before.get(id, {}).get("value"),
            "now": value,
            "difference": _difference(before.get(id, {}).get("value"), value),
        }
        for id, value in measured.items()
    ]
    return Table(rows)


def _difference(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else now - before
