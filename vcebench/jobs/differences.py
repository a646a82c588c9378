"""The paired difference of every metric between two runs on the same images.

A per-image metric is paired on the images that belong to its population in both runs, so its two
values may differ from those of the runs alone. Metrics of whole sets take each run's own
population; sFID is paired over its halvings, FID, KID and CD have no interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vcebench.evaluating.verdicts import Booleans, Verdicts
from vcebench.folders.rows import Row
from vcebench.metrics import attributes, frechet, kid
from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.bootstrap import mean_interval
from vcebench.metrics.populations import Population, populations
from vcebench.metrics.registry import METRICS, MetricInfo
from vcebench.metrics.sfid import split_fid

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One metric of two runs.

    Attributes:
        id: of the metric.
        first, second: values of runs A and B.
        interval: 95 % bootstrap interval of their difference, B minus A, None without one.
        n: images both values count; for set metrics the smaller of the two numbers.
    """

    id: str
    first: float
    second: float
    interval: tuple[float, float] | None
    n: int

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.second - self.first

    @property
    def better(self) -> str:
        """ "A" or "B" where the interval leaves out 0, else empty."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return ""
        rises = METRICS[self.id].better == "higher"
        return "B" if (self.difference > 0) == rises else "A"


@dataclass(frozen=True)
class Side:
    """One run on the common images.

    Attributes:
        rows: of the common images, in the order of the data set.
        values: metric id → (n,) per-image values in the metric's plain unit.
        features: (originals, counterfactuals) of the set distances, each (n, d).
        verdicts: which images are flipped, and which inputs were classified correctly.
        changes: (n, A) changes of the attributes CD looks at, None without.
    """

    rows: Sequence[Row]
    values: dict[str, Floats]
    features: tuple[Any, Any] | None
    verdicts: Verdicts
    changes: npt.NDArray[np.int64] | None = None

    @property
    def flipped(self) -> Booleans:
        """(n,) whether the target is seen in the counterfactual."""
        return self.verdicts.flipped

    def members(self, population: Population) -> Booleans:
        """(n,) which images a population holds; none where nobody knows."""
        if self.verdicts.lacking(population):
            return np.zeros(len(self.rows), dtype=bool)
        return populations(self.verdicts.flipped, self.verdicts.correct)[population]


@dataclass(frozen=True)
class Labels:
    """What CD compares with: A attributes, the queried one, correlations (A,) of the labels."""

    names: Sequence[str]
    query: str
    correlation: Floats


def compare_sides(first: Side, second: Side, labels: Labels | None = None) -> list[Difference]:
    """Differences of all metrics that both sides have, in the registry's order."""
    found = []
    for id, info in METRICS.items():
        if id in first.values and id in second.values:
            one = _paired(info, first, second)
        elif id == "cd":
            one = _cd(first, second, labels)
        else:
            one = _sets(info, first, second)
        if one is not None:
            found.append(one)
    return found


def _paired(info: MetricInfo, first: Side, second: Side) -> Difference | None:
    """A per-image metric, on the images that belong to its population in both runs."""
    # What FR averages is itself which images are flipped.
    counted: Population = "flipped" if info.id == "fr" else info.population
    known = not (first.verdicts.lacking(counted) or second.verdicts.lacking(counted))
    members = first.members(info.population) & second.members(info.population) & known
    a, b = (side.values[info.id] * info.scale for side in (first, second))
    members = members & ~np.isnan(a) & ~np.isnan(b)
    if not members.any():
        return None
    a, b = a[members], b[members]
    interval = mean_interval(b - a)
    return Difference(info.id, float(a.mean()), float(b.mean()), interval, int(members.sum()))


def _sets(info: MetricInfo, first: Side, second: Side) -> Difference | None:
    """FID, KID and sFID, each run with its own flipped images."""
    compute = _SET_METRICS.get(info.id)
    if compute is None or first.features is None or second.features is None:
        return None
    if first.verdicts.lacking("flipped") or second.verdicts.lacking("flipped"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", frechet.FewImagesWarning)
            a, b = compute(first), compute(second)
    except NotComputableError:
        return None
    interval = mean_interval(b - a) if info.interval == "halvings" else None
    n = int(min(first.flipped.sum(), second.flipped.sum()))
    return Difference(info.id, float(a.mean()), float(b.mean()), interval, n)


def _cd(first: Side, second: Side, labels: Labels | None) -> Difference | None:
    """CD, each run with its own flipped images."""
    if labels is None or first.changes is None or second.changes is None:
        return None
    if first.verdicts.lacking("flipped") or second.verdicts.lacking("flipped"):
        return None
    query = list(labels.names).index(labels.query)
    try:
        a, b = (
            attributes.cd(changes[side.flipped], query, labels.correlation)
            for side, changes in ((first, first.changes), (second, second.changes))
        )
    except NotComputableError:
        return None
    n = int(min(first.flipped.sum(), second.flipped.sum()))
    return Difference("cd", a, b, None, n)


def _fid(side: Side) -> Floats:
    assert side.features is not None
    return np.array([frechet.fid(*side.features, np.flatnonzero(side.flipped))])


def _kid(side: Side) -> Floats:
    assert side.features is not None
    return kid.block_values(*side.features, np.flatnonzero(side.flipped))


def _sfid(side: Side) -> Floats:
    assert side.features is not None
    return split_fid([row.id for row in side.rows], *side.features, side.flipped)


_SET_METRICS: dict[str, Callable[[Side], Floats]] = {"fid": _fid, "kid": _kid, "sfid": _sfid}
