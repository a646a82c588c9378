"""Who stands in a leaderboard: stored runs of any origin, and printed figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vcebench.errors import UserError
from vcebench.evaluating.verdicts import FOREIGN, STORED
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.metrics.arrays import Booleans
from vcebench.metrics.populations import Population, populations
from vcebench.metrics.registry import METRICS
from vcebench.results import published
from vcebench.results.tables.names import column, method_name
from vcebench.settings.origin import Imported
from vcebench.showing.report.numbers import Number
from vcebench.showing.report.runs import RunView

_ELSEWHERE = ("nfe", "sigma_l", "cd")
"""Metrics over images of which no values of single images are kept."""

How = Literal["printed", "imported", "measured", "re-made"]


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        label: the method, with what sets it apart.
        how: how its figures are known.
        numbers: metric id → figure.
        detail: a few words more: the paper, the layout, or the verdict of a second run.
        images: images explained, None where it is not said.
        protocol: name and version of the definitions; empty for printed figures.
        seconds: per image; None where it is not known.
        gallery: page of its pictures, None without.
    """

    label: str
    how: How
    numbers: Mapping[str, Number]
    detail: str = ""
    images: int | None = None
    protocol: str = ""
    seconds: float | None = None
    gallery: str | None = None


def entry_of(run: RunView, gallery: str | None, remade: str | None) -> Entry:
    """The row of a stored run.

    Args:
        run: as the report reads it.
        gallery: page of its pictures.
        remade: verdict of a second run, None if there was none.
    """
    origin = run.config.origin
    how: How = "measured" if remade is None or remade == "FAIL" else "re-made"
    detail = "" if remade is None else f"made again: {remade}"
    if isinstance(origin, Imported):
        how, detail = "imported", f"layout {origin.layout}"
        judge = run.measured.numbers["fr"].backbone
        detail += f", {judge}" if judge in (FOREIGN, STORED) else ""
    elif origin is not None:
        detail = f"plug-in {origin.where}" + (f", {detail}" if detail else "")
    seconds = [row.seconds for row in run.rows.values()]
    known = [value for value in seconds if value is not None]
    label = method_name(run.config.method)
    if run.label != run.config.method:
        label += run.label.removeprefix(run.config.method)
    return Entry(
        label=label,
        how=how,
        numbers=run.measured.numbers,
        detail=detail,
        images=run.images,
        protocol=run.subject.protocol,
        seconds=sum(known) / len(known) if known and len(known) == len(seconds) else None,
        gallery=gallery,
    )


def printed(dataset: str, task: str) -> list[Entry]:
    """The rows that papers print about a task, one a method and paper."""
    found: dict[tuple[str, str], dict[str, Number]] = {}
    by_print = {column(id).printed: id for id in METRICS}
    for figure in published.figures():
        if (figure.dataset, figure.task) != (dataset, task) or figure.number is None:
            continue
        id = by_print.get(figure.metric)
        if id is None or not math.isfinite(figure.number):
            continue
        row = found.setdefault((figure.method, figure.source), {})
        row.setdefault(id, Number(METRICS[id], figure.number))
    return [
        Entry(method_name(method), "printed", numbers, detail=source)
        for (method, source), numbers in found.items()
    ]


def check_figures(folder: RunFolder, numbers: Mapping[str, Number]) -> None:
    """Refuse figures that their own rows and single values contradict, or that cannot be.

    Means over images are computed again from per-image.parquet over their populations.

    Raises:
        UserError: the first figure that does not hold.
    """
    rows = folder.rows()
    values = folder.per_image()
    for id, number in numbers.items():
        info = METRICS[id]
        if number.value is None:
            continue
        low, high = info.range
        if not math.isfinite(number.value) or not low - 1e-9 <= number.value <= high + 1e-9:
            raise UserError(f"{folder.path}: {info.title} is {number.value}, which cannot be")
        if number.n > len(rows):
            raise UserError(
                f"{folder.path}: {info.title} counts {number.n} images of {len(rows)}; refused"
            )
    finite = [row for row in rows if row.finite]
    members = _members(folder, finite, numbers)
    for id, number in numbers.items():
        info = METRICS[id]
        if info.interval != "images" or number.value is None or id in _ELSEWHERE:
            continue
        if info.population not in members:
            continue
        counted = zip(finite, members[info.population], strict=True)
        single = [values[row.id][id] for row, m in counted if m and id in values[row.id]]
        mean = float(np.mean(single)) if single else math.nan
        if not math.isclose(mean, number.value, rel_tol=1e-4, abs_tol=1e-6):
            raise UserError(
                f"{folder.path}: {info.title} is said to be {number.text}, but its single values "
                "say otherwise; run vcebench evaluate anew"
            )


def _members(
    folder: RunFolder, finite: Sequence[Row], numbers: Mapping[str, Number]
) -> dict[Population, Booleans]:
    """The populations that can be told again from single values and rows.

    Raises `UserError` if there are figures and no single values.
    """
    values = folder.per_image()
    single = [values.get(row.id, {}).get("fr") for row in finite]
    # An import of which nobody knows what is flipped has no such figures.
    unknown = all(
        n.value is None for id, n in numbers.items() if "flipped" in METRICS[id].population
    )
    if None in single and not (unknown and numbers["fr"].value is None):
        raise UserError(
            f"{folder.path} holds no values of single images, by which its figures could be "
            f"checked; run vcebench evaluate {folder.path}"
        )
    flipped = np.array(single, dtype=bool)
    found = populations(flipped, np.array([row.correct for row in finite], dtype=bool))
    # Rows of an import that was not judged then hold other verdicts than its evaluation.
    judged = all(row.margin is not None for row in finite)
    return {p: found[p] for p in found if judged or "correct" not in p}
