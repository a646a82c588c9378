"""Two runs on the same images: the paired difference of every metric.

Only images that both runs explained count. A per-image metric is paired on the images that belong
to its population in both runs, so its two values may differ from those of the runs alone. Metrics
of whole sets take each run's own population; sFID is paired over its halvings, FID, KID and CD
have no interval. Time and memory tell of the machine and are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vcebench.errors import UserError
from vcebench.evaluating.extracted import Extracted
from vcebench.evaluating.extraction import extract
from vcebench.evaluating.verdicts import Booleans, Verdicts, verdicts
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.scratch import scratch_folder
from vcebench.metrics import attributes, frechet, kid, similarity, verification
from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.bootstrap import mean_interval
from vcebench.metrics.populations import Population, populations
from vcebench.metrics.registry import METRICS, MetricInfo
from vcebench.metrics.sfid import split_fid
from vcebench.models.bundle import Bundle
from vcebench.running.stored import check_classifier, networks_of_run
from vcebench.settings.config import differences
from vcebench.settings.custom import CustomTask
from vcebench.showing.figuredata import label_correlations

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One metric of two runs.

    Attributes:
        id: of the metric.
        first, second: values of runs A and B.
        difference: B minus A.
        interval: 95 % bootstrap interval of the difference, None without one.
        n: images both values count; for set metrics the smaller of the two numbers.
    """

    id: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    n: int

    @property
    def better(self) -> str:
        """ "A" or "B" where the interval leaves out 0, else empty."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return ""
        rises = METRICS[self.id].better == "higher"
        return "B" if (self.difference > 0) == rises else "A"


@dataclass(frozen=True)
class Comparison:
    """All differences, and what to keep in mind."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


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


def compare(
    first: Path,
    second: Path,
    threads: int | None = None,
    custom: CustomTask | None = None,
    data_root: Path | None = None,
) -> Comparison:
    """Compare two run folders.

    Args:
        first, second: the run folders.
        threads: chunks at a time on a CPU.
        custom: the task, if the runs are of somebody's own.
        data_root: folder of a data set that does not ship with the package, for training labels.

    Raises:
        UserError: a folder is no run, the runs are about different tasks, or share no image.
    """
    folders = [RunFolder.existing(path) for path in (first, second)]
    configs = [folder.config() for folder in folders]
    tasks = {(config.dataset, config.task, config.split) for config in configs}
    if len(tasks) > 1:
        about = " and ".join(" ".join(task) for task in sorted(tasks))
        raise UserError(f"the runs are about {about}; only runs of one task can be compared")
    protocols = {folder.manifest()["protocol"] for folder in folders}
    if len(protocols) > 1:
        raise UserError(f"the runs follow protocols {' and '.join(sorted(protocols))}")
    rows = [{row.id: row for row in folder.rows() if row.finite} for folder in folders]
    shared = [id for id in rows[0] if id in rows[1]]
    if not shared:
        raise UserError(f"{first} and {second} have no image in common")
    chosen = [[side[id] for id in shared] for side in rows]
    notes = [f"{len(shared)} common images"]
    if configs[0].custom is not None and custom is None:
        _same_classifier(folders)
        sides = [stored_side(f, r) for f, r in zip(folders, chosen, strict=True)]
        result = compare_sides(sides[0], sides[1])
        notes.append(
            "figures as run or evaluate stored them; --config FILE.toml computes all metrics anew, "
            "those of whole sets too"
        )
    else:
        result = _looked_at(folders, chosen, custom, threads, data_root)
    stored = [folder.manifest()["config"] for folder in folders]
    notes += [f"different: {line}" for line in differences(stored[0], stored[1])]
    notes += [note for note in [kid.estimated(len(shared))] if note]
    return Comparison(tuple(result), tuple(notes))


def _looked_at(
    folders: Sequence[RunFolder],
    chosen: Sequence[Sequence[Row]],
    custom: CustomTask | None,
    threads: int | None,
    data_root: Path | None,
) -> list[Difference]:
    """All metrics, from the stored images and the networks of the task."""
    bundle = networks_of_run(folders[0], custom)
    check_classifier(folders[1], bundle)
    with scratch_folder() as scratch:
        labels = _labels(folders[0], bundle, data_root)
        sides = []
        for number, (folder, rows) in enumerate(zip(folders, chosen, strict=True)):
            place = scratch / str(number)
            place.mkdir()
            found = extract(folder, rows, bundle, bundle.device, place, threads)
            sides.append(side_of(rows, found, bundle, labels))
        return compare_sides(sides[0], sides[1], labels)


def _same_classifier(folders: Sequence[RunFolder]) -> None:
    """Refuse runs that explain different classifiers: their figures do not compare."""
    first, second = (folder.manifest()["networks"].get("classifier") for folder in folders)
    if first != second:
        raise UserError(
            f"{folders[0].path} and {folders[1].path} explain different classifiers; "
            "only runs that explain the same one can be compared"
        )


def stored_side(folder: RunFolder, rows: Sequence[Row]) -> Side:
    """Per-image values of one run as its rows and its last evaluation have them."""
    known = folder.per_image()
    names = {id for values in known.values() for id in values if id in METRICS}
    values = {
        id: np.array([known.get(row.id, {}).get(id, np.nan) for row in rows]) / METRICS[id].scale
        for id in names
    }
    said = verdicts(rows, {})
    values["fr"] = said.flipped.astype(np.float64)
    values["nfe"] = np.array([row.nfe for row in rows], dtype=np.float64)  # NaN: not known
    return Side(rows, values, None, said)


def _labels(folder: RunFolder, bundle: Bundle, data_root: Path | None) -> Labels | None:
    try:
        names, query, correlation = label_correlations(folder, bundle, data_root)
    except UserError:  # no attributes, no CD
        return None
    return Labels(names, query, correlation)


def side_of(rows: Sequence[Row], found: Extracted, bundle: Bundle, labels: Labels | None) -> Side:
    """Per-image values of one run, by metric id."""
    known = verdicts(rows, found.values)
    values: dict[str, Floats] = {
        id: np.asarray(array, dtype=np.float64)
        for id, array in found.values.items()
        if id in METRICS
    }
    values["fr"] = known.flipped.astype(np.float64)
    values["nfe"] = np.array([row.nfe for row in rows], dtype=np.float64)  # NaN: not known
    for role in ("semantic", "representation"):
        if role in found.pairs:
            values["s3"] = similarity.s3(*found.pairs[role])
            break
    if "identity" in found.pairs:
        values["fs"] = verification.fs(*found.pairs["identity"])
        values["fva"] = verification.verified(values["fs"]).astype(np.float64)
    changes = None
    if labels is not None and "attributes" in found.pairs:
        columns = [bundle.attributes.index(name) for name in labels.names]
        changes = attributes.changes(*(array[:, columns] for array in found.pairs["attributes"]))
        values["mnac"] = np.abs(changes).sum(axis=1).astype(np.float64)
    features = found.pairs.get("representation")
    return Side(rows, values, features, known, changes)


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
    return _difference(info.id, float(a.mean()), float(b.mean()), interval, int(members.sum()))


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
    return _difference(info.id, float(a.mean()), float(b.mean()), interval, n)


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
    return _difference("cd", a, b, None, n)


def _difference(
    id: str, a: float, b: float, interval: tuple[float, float] | None, n: int
) -> Difference:
    return Difference(id, a, b, b - a, interval, n)


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
