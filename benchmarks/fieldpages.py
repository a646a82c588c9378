"""The tables of the field, a task each, from committed rows.

What is not measured yet stands in them as missing, with the command that measures it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from vcebench.formats import Table
from vcebench.jobs.field import IMAGES, TASKS, Field, field_plan, registered
from vcebench.jobs.fieldrows import gather, waiting
from vcebench.jobs.plan import Planned
from vcebench.jobs.truthtable import cell
from vcebench.metrics.registry import METRICS
from vcebench.models.bounds import remarks
from vcebench.results.collection import committed_usual
from vcebench.results.measurements import Measurement
from vcebench.results.tables.names import family
from vcebench.settings.config import PROTOCOL
from vcebench.showing.fieldfigure import cost_of

SHOWN = ("fr", "oracle_fr", "gt_precision", "gt_iou", "off_target", "cout", "kid", "fs", "s3")
"""Columns of a task's table; those without any figure are left out."""
HOME = ("synthfaces", "smile")
TEN = 10
TOLD = ("smile", "age", "forward-slowdown", "3-8")
"""Tasks that stand for their sets, with their plain classifiers where there are any."""
GRID_CAPTION = (
    "Oracle FR in percent · GT precision, on synthfaces (smile, age), synthroads "
    "(forward-slowdown) and digits (3-8, which have no GT precision); tables at the end have the "
    "intervals. Evaluations of the prior, an image: fewest to most over these tasks."
)


@dataclass(frozen=True)
class Ground:
    """Everything that is committed about an embedded set.

    Attributes:
        dataset: its id.
    """

    dataset: str

    @cached_property
    def rows(self) -> Sequence[Measurement]:
        """Figures of the field."""
        return gather(self.dataset, []).rows

    @cached_property
    def plan(self) -> Field:
        """What the field is made of here."""
        return field_plan(self.dataset)

    @cached_property
    def waiting(self) -> list[Planned]:
        """Runs that no figure stands for yet."""
        return waiting(self.dataset, self.rows)

    @cached_property
    def all_rows(self) -> list[Measurement]:
        """Those of the papers' tables too, which have other numbers of images."""
        return [*self.rows, *committed_usual(self.dataset)]

    def of(self, task: str) -> dict[str, dict[str, Measurement]]:
        """Method → its figures on a task of the field."""
        found: dict[str, dict[str, Measurement]] = {}
        for row in self.rows:
            if row.task == task and row.value is not None:
                found.setdefault(row.method, {})[row.metric] = row
        return found


def ten(ground: Ground) -> str:
    """The first ten methods of the field that can run at home, measured or not."""
    task = HOME[1]
    found = ground.of(task)
    columns = ("oracle_fr", "gt_precision", "off_target", "cout", "kid")
    shown = []
    left_out = ground.plan.left_out
    able = sorted(registered(), key=lambda method: (task, method) in left_out)  # else as they are
    for method in able[:TEN]:
        row = method_line(method, found.get(method, {}), columns)
        if (task, method) in left_out:
            row["evaluations"] = "not here"
        shown.append(row)
    return f"{github(shown)}\n\n{_caption(ground.dataset, task)}"


def grid(grounds: Sequence[Ground]) -> str:
    """What every method of the field costs, convinces and hits, a column for each of `TOLD`."""
    tables = {
        task: ground.of(task)
        for ground in grounds
        for task in TASKS[ground.dataset]
        if task.removesuffix("-plain") in TOLD
    }
    lines = []
    for method in registered():
        own = {where: table[method] for where, table in tables.items() if method in table}
        costs = sorted(cost for figures in own.values() if (cost := cost_of(figures)) is not None)
        line: dict[str, object] = {"method": f"`{method}`", "evaluations": "–"}
        if costs:
            line["evaluations"] = "–".join(
                dict.fromkeys(f"{c:,.0f}" for c in (costs[0], costs[-1]))
            )
        lines.append(line | {where: _told(own.get(where, {})) for where in tables})
    return f"{github(lines)}\n\n{GRID_CAPTION}"


def _told(figures: Mapping[str, Measurement]) -> str:
    known = [
        (METRICS[id], figures[id].value) for id in ("oracle_fr", "gt_precision") if id in figures
    ]
    shown = [f"{value:.0f}" if info.unit else f"{value:.2f}" for info, value in known]
    return "\u00a0·\u00a0".join(shown) or "–"


def method_line(
    method: str, figures: dict[str, Measurement], columns: Sequence[str]
) -> dict[str, object]:
    row: dict[str, object] = {"method": f"`{method}`", "family": family(method)}
    row["evaluations"] = _cost(figures)
    row |= {heading(id): cell(figures.get(id)) for id in columns}
    return row if figures else {**row, "evaluations": "not measured yet"}


def _cost(figures: dict[str, Measurement]) -> str:
    cost = cost_of(figures)
    return "–" if cost is None else f"{cost:,.0f}"


def heading(id: str) -> str:
    info = METRICS[id]
    arrow = "↑" if info.better == "higher" else "↓"
    return f"{info.title}{f' {info.unit}' if info.unit else ''} {arrow}"


def _caption(dataset: str, task: str) -> str:
    return (
        f"{dataset}, {task}: the first {IMAGES} images of `test`, seed 0, {PROTOCOL}; in brackets "
        "95 % bootstrap intervals over the images; evaluations: of the prior (of an autoencoder's "
        "decoder where the method walks among codes), forward and backward, an image."
    )


def github(lines: Sequence[Mapping[str, object]]) -> str:
    return Table(list(lines)).render("github")


def rows(grounds: Sequence[Ground]) -> str:
    """One table a task, and what is missing there."""
    parts = []
    for ground in grounds:
        for task in TASKS[ground.dataset]:
            parts.append(f"### {ground.dataset}, {task}\n\n{_task(ground, task)}")
    return "\n\n".join(parts)


def _task(ground: Ground, task: str) -> str:
    found = ground.of(task)
    columns = [id for id in SHOWN if any(id in figures for figures in found.values())]
    parts = []
    if found:
        lines = [method_line(method, figures, columns) for method, figures in found.items()]
        parts += [github(lines), _caption(ground.dataset, task), *remarks(ground.dataset, found)]
    lacking = [w for w in ground.waiting if w.task == task]
    if lacking:
        names = ", ".join(f"`{wanted.method}`" for wanted in lacking)
        parts.append(
            f"Not measured yet: {names}; `vcebench sweep --all --dataset {ground.dataset}` "
            "measures them."
        )
    reasons: dict[str, list[str]] = {}
    for (where, method), why in ground.plan.left_out.items():
        if where == task:
            reasons.setdefault(why.partition(";")[0], []).append(f"`{method}`")
    parts += [f"Not here: {', '.join(names)}: {why}." for why, names in reasons.items()]
    return "\n\n".join(parts)
