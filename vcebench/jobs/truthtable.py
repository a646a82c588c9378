"""The table of `vcebench truth` for people, and the rank correlations below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from vcebench.formats import number
from vcebench.jobs.truth import GROUND_TRUTH, PUBLISHED, SANITY
from vcebench.metrics.arrays import Floats
from vcebench.metrics.bootstrap import RESAMPLES, Interval
from vcebench.metrics.registry import METRICS
from vcebench.metrics.sanity import correlation
from vcebench.results.measurements import Measurement

ATTACK = "pgd"
FEWEST = 4
"""Pairs that a rank correlation needs to be shown."""

Row = Mapping[str, Measurement]
"""The figures of one method on one task by metric, all of the same number of images."""


def by_row(rows: Sequence[Measurement]) -> dict[tuple[str, str], dict[str, Measurement]]:
    """(task, method) → its figures; of several numbers of images, the largest."""
    found: dict[tuple[str, str], dict[str, Measurement]] = {}
    for figure in rows:
        row = found.setdefault((figure.task, figure.method), {})
        if figure.metric not in row or row[figure.metric].images < figure.images:
            row[figure.metric] = figure
    return found


def table(rows: Sequence[Measurement]) -> list[dict[str, str]]:
    """Method by ground-truth metric, with 95 % intervals; a dash where a metric says nothing."""
    shown = []
    for (task, method), figures in by_row(rows).items():
        counts = [f.images for name, f in figures.items() if name not in SANITY]
        row = {"task": task, "method": method, "images": str(max(counts, default="–"))}
        row |= {METRICS[id].title: cell(figures.get(id)) for id in GROUND_TRUTH}
        checks = [figures[id] for id in SANITY if id in figures and figures[id].value is not None]
        # The smaller of the two differences is the one that exposes a method.
        weakest = min(checks, key=lambda f: f.value or 0.0, default=None)
        shown.append(row | {"Sanity": cell(weakest)})
    return shown


def cell(figure: Measurement | None) -> str:
    """A value with its interval."""
    if figure is None or figure.value is None:
        return "–"
    bounds = ""
    if figure.lo is not None and figure.hi is not None:
        bounds = f" [{_short(figure.lo)}, {_short(figure.hi)}]"
    return f"{_short(figure.value)}{bounds}"


def _short(value: float) -> str:
    return number(float(f"{value:.3g}"))


@dataclass(frozen=True)
class Agreement:
    """Rank correlation of a published metric with a ground-truth one.

    Attributes:
        published, truth: metric ids.
        rho: Spearman's, signed so that 1 means that both call the same methods better; None with
            fewer than 4 pairs, or if one of them never varies.
        interval: 95 %, bootstrap over the pairs.
        n: pairs (method, task).
    """

    published: str
    truth: str
    rho: float | None
    interval: Interval | None
    n: int


def agreements(
    rows: Sequence[Measurement],
    scope: str = "all",
    truths: Sequence[str] = GROUND_TRUTH,
    published: Sequence[str] = PUBLISHED,
) -> list[Agreement]:
    """Rank correlations over methods × tasks, of the runs with the most images of their task.

    Args:
        rows: from `truth.gather`.
        scope: "all" pairs; "within tasks": ranks among the methods of a task, so that tasks that
            are hard for every method do not count; "without pgd".
        truths: ids of the ground-truth metrics.
        published: ids of the metrics that are compared with them.
    """
    table = by_row([row for row in rows if row.metric not in SANITY])
    most: dict[str, int] = {}
    for (task, _), figures in table.items():
        most[task] = max([most.get(task, 0), *(f.images for f in figures.values())])
    chosen = {
        key: figures
        for key, figures in table.items()
        if all(f.images == most[key[0]] for f in figures.values())
        and not (scope == "without pgd" and key[1] == ATTACK)
    }
    rank = _ranks_within if scope == "within tasks" else _ranks
    return [_agreement(chosen, p, t, rank) for p in published for t in truths]


def _agreement(
    table: Mapping[tuple[str, str], Row],
    published: str,
    truth: str,
    rank: Callable[[Floats, Sequence[str]], Floats],
) -> Agreement:
    pairs = []
    for (task, _), figures in table.items():
        values = [figures[id].value if id in figures else None for id in (published, truth)]
        if values[0] is not None and values[1] is not None:
            pairs.append((task, values[0], values[1]))
    n = len(pairs)
    if n < FEWEST:
        return Agreement(published, truth, None, None, n)
    tasks = [task for task, _, _ in pairs]
    columns = np.array([[_sign(published) * a, _sign(truth) * b] for _, a, b in pairs])

    def rho(chosen: Floats) -> float:
        names = [tasks[i] for i in chosen.astype(int)]
        ranks = [rank(columns[chosen.astype(int), k], names)[None] for k in (0, 1)]
        return float(correlation(*ranks)[0])

    value = rho(np.arange(n, dtype=np.float64))
    if np.isnan(value):
        return Agreement(published, truth, None, None, n)
    draws = np.random.default_rng(0).integers(n, size=(RESAMPLES, n)).astype(np.float64)
    resampled = np.array([rho(draw) for draw in draws])
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Agreement(published, truth, value, (float(low), float(high)), n)


def _sign(id: str) -> int:
    return 1 if METRICS[id].better == "higher" else -1


def _ranks(values: Floats, tasks: Sequence[str]) -> Floats:
    ranks: Floats = rankdata(values)
    return ranks


def _ranks_within(values: Floats, tasks: Sequence[str]) -> Floats:
    """Ranks among the values of the same task, centred and scaled to [-1, 1]."""
    names = np.array(tasks)
    ranks = np.zeros(len(values))
    for name in dict.fromkeys(tasks):
        members = names == name
        count = int(members.sum())
        if count > 1:
            ranks[members] = 2 * (rankdata(values[members]) - 1) / (count - 1) - 1
    return ranks


SCOPES = ("all", "within tasks", "without pgd")


def agreement_table(rows: Sequence[Measurement]) -> list[dict[str, str]]:
    """Published metric by ground-truth metric, for every scope."""
    shown = []
    for scope in SCOPES:
        found = agreements(rows, scope)
        for published in PUBLISHED:
            row = {"pairs": scope, "metric": METRICS[published].title}
            for one in (a for a in found if a.published == published):
                row[METRICS[one.truth].title] = _rho(one)
            shown.append(row)
    return shown


def _rho(one: Agreement) -> str:
    if one.rho is None or one.interval is None:
        return "–"
    low, high = one.interval
    return f"{one.rho:+.2f} [{low:+.2f}, {high:+.2f}] n={one.n}"
