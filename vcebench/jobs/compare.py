"""Two runs on the same images: the paired difference of every metric.

Only images that both runs explained count; `vcebench.jobs.differences` says how they are paired.
Time and memory tell of the machine and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vcebench.errors import UserError
from vcebench.evaluating.extracted import Extracted
from vcebench.evaluating.extraction import extract
from vcebench.evaluating.verdicts import Verdicts, verdicts
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.scratch import scratch_folder
from vcebench.jobs.differences import Difference, Floats, Labels, Side, compare_sides
from vcebench.metrics import attributes, kid, similarity, verification
from vcebench.metrics.registry import METRICS
from vcebench.models.bundle import Bundle
from vcebench.running.stored import check_classifier, networks_of_run
from vcebench.settings.config import differences
from vcebench.settings.custom import CustomTask
from vcebench.showing.figuredata import label_correlations


@dataclass(frozen=True)
class Comparison:
    """All differences, and what to keep in mind."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


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
    return Side(rows, values | _of_rows(rows, said), None, said)


def _of_rows(rows: Sequence[Row], said: Verdicts) -> dict[str, Floats]:
    """Per-image values of metrics that look at no image."""
    costs = np.array([row.nfe for row in rows], dtype=np.float64)  # NaN: not known
    return {"fr": said.flipped.astype(np.float64), "nfe": costs}


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
    values |= _of_rows(rows, known)
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
