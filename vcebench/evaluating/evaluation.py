"""From a stored run folder to its metrics. Only what is stored counts, so anyone can repeat it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vcebench.data.base import HasCue
from vcebench.data.registry import DATASETS, dataset_entry, open_dataset
from vcebench.devices.flags import precision_flags
from vcebench.errors import UserError
from vcebench.evaluating.extraction import extract
from vcebench.evaluating.families import FAMILIES, Context
from vcebench.evaluating.foreign import remarks
from vcebench.evaluating.verdicts import FILED, as_filed, verdicts
from vcebench.folders.rows import NOT_KNOWN, Row, backward_per_image, nfe_per_try
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.scratch import scratch_folder
from vcebench.metrics import frechet
from vcebench.metrics.registry import METRICS
from vcebench.metrics.result import MetricValue, measured, missing, summarise
from vcebench.models.bundle import Bundle
from vcebench.settings.config import PROTOCOL, RunConfig
from vcebench.settings.origin import Imported

UNBOUND = (
    "the run was made before rows knew digests of their files: a picture that was exchanged would "
    "not be noticed"
)
_ENOUGH = 12
"""Labelled images from which on agreement with the classifier says something."""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one run.

    Attributes:
        values: one entry per metric of the protocol, missing ones with their reason.
        images: number of explained images; `non_finite` of them have no counterfactual and are
            not counted by any metric.
        already_target: further images that are predicted as the class asked for; nothing was
            tried with them, and no metric counts them.
        float_fr: flip rate before quantisation, in percent; None without images, or not known.
        seconds_per_image: mean share of the wall time; None without images, or not known.
        nfe_per_try: mean evaluations of the prior per image and try; None where not known.
        backward_per_image: mean backward passes through the prior; None where not known.
        memory_of: what `peak_memory` counted.
        protocol: name and version of the definitions.
        notes: what a reader should know beside the numbers.
        per_image: metric id → image id → value in the metric's unit, for metrics that are means
            over images; also of images outside the metric's population, if it is defined for them.
        networks: role → name and SHA-256 of the networks that made the figures.
        judge: name of the classifier that judged, if it is another one than the run explains.
    """

    values: dict[str, MetricValue]
    images: int
    non_finite: int
    float_fr: float | None
    seconds_per_image: float | None
    memory_of: str
    protocol: str = PROTOCOL
    notes: tuple[str, ...] = ()
    per_image: dict[str, dict[str, float]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    judge: str | None = None
    already_target: int = 0
    nfe_per_try: float | None = None
    backward_per_image: float | None = None


def evaluate(
    folder: RunFolder,
    bundle: Bundle,
    limit: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    data_root: Path | None = None,
    judge: str | None = None,
) -> Evaluation:
    """All metrics of a run, from its stored images and rows.

    Args:
        folder: the run.
        bundle: networks of its task.
        limit: use only the first images, in the order of the data set.
        threads: chunks at a time on a CPU.
        progress: called with the images looked at and all images.
        data_root: folder of a data set that does not ship with the package, for training labels.
        judge: name of the bundle's classifier, if it is another one than the run explains; `FILED`
            if images count as the program that made them filed them.

    Raises:
        UserError: nothing is stored, or a stored image cannot be read or judged.
    """
    manifest = folder.manifest()
    rows = folder.rows()[:limit]
    if not rows:
        raise UserError(f"{folder.path} holds no finished image; run it first")
    rows, stored = [row for row in rows if not row.already_target], rows
    finite = [row for row in rows if row.finite]
    values: dict[str, MetricValue] = {}
    notes: list[str] = []
    per_image: dict[str, dict[str, float]] = {}
    if finite:
        context, values = _looked_at(folder, finite, bundle, threads, progress, data_root, judge)
        notes += _verdicts(context, judge)
        notes += remarks(manifest, finite, context.verdicts)
        notes += context.notes
        per_image = context.columns
    if any(row.files_sha256 is None for row in rows):
        notes.append(UNBOUND)
    notes += _smaller_batches(rows, folder.config().batch_size)
    notes += [str(note) for note in manifest.get("data_notes", [])] + _wrong_order(stored)
    seconds = _known([row.seconds for row in rows])
    costs, memory_of = _costs(rows, seconds, manifest)
    values |= costs
    return Evaluation(
        values={
            id: values.get(id) or missing(id, "no image with a finite counterfactual")
            for id in METRICS
        },
        images=len(rows),
        non_finite=len(rows) - len(finite),
        already_target=len(stored) - len(rows),
        float_fr=_mean(_known([row.flipped_float for row in finite]), 100),
        seconds_per_image=_mean(seconds),
        nfe_per_try=nfe_per_try(rows),
        backward_per_image=backward_per_image(rows),
        memory_of=memory_of,
        protocol=manifest["protocol"],
        notes=tuple(notes),
        per_image=per_image,
        networks=bundle.facts(),
        judge=judge,
    )


def _looked_at(
    folder: RunFolder,
    rows: list[Row],
    bundle: Bundle,
    threads: int | None,
    progress: Callable[[int, int], None],
    data_root: Path | None,
    judge: str | None,
) -> tuple[Context, dict[str, MetricValue]]:
    """What is seen in the images of these rows, and the metrics of it; see `evaluate`."""
    planted = _planted(folder.config())
    # Judged in float32, whatever tier made the images.
    with scratch_folder() as scratch, precision_flags("exact"):
        found = extract(
            folder,
            rows,
            bundle,
            bundle.device,
            scratch,
            threads,
            planted,
            progress,
            # A judge may be of a file of the user's, where a digest does not tell all.
            remember=judge in (None, FILED),
        )
        said = as_filed(rows) if judge == FILED else verdicts(rows, found.values)
        context = Context(folder.config(), rows, found, bundle, said, data_root, planted)
        return context, _measure(context)


def _measure(context: Context) -> dict[str, MetricValue]:
    """The metrics that look at images; what they remark goes to the context's notes."""
    values: dict[str, MetricValue] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for compute in FAMILIES:
            values |= compute(context)
    context.notes += sorted(
        {str(w.message) for w in caught if issubclass(w.category, frechet.FewImagesWarning)}
    )
    values["sigma_l"] = missing("sigma_l", "needs --seeds 5")
    return values


def _verdicts(context: Context, judge: str | None) -> list[str]:
    """A line if images are judged otherwise than when they were made."""
    made = [row.flipped for row in context.rows]
    changed = sum(b is not None and a != b for a, b in zip(context.flipped, made, strict=True))
    if not changed or (judge is None and context.verdicts.by is not None):
        return []
    if judge is not None:
        who = f"{judge} judges {changed} of {len(made)} images otherwise than the classifier"
        return [f"{who} that they explain"]
    return [
        f"{changed} of {len(made)} images are judged otherwise than when they were made; "
        "the figures are those of now"
    ]


def _known(values: Sequence[float | None]) -> list[float] | None:
    """All of the values, or None if one of them is not known."""
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else None


def _mean(values: Sequence[float] | None, scale: float = 1.0) -> float | None:
    return scale * float(np.mean(values)) if values else None


def _costs(
    rows: Sequence[Row], seconds: Sequence[float] | None, manifest: dict[str, Any]
) -> tuple[dict[str, MetricValue], str]:
    """What the run cost, as far as it is known, and what peak memory counted."""
    memory, memory_of = _peak_memory(manifest)
    evaluations = _known([row.nfe for row in rows])
    nobody = np.zeros(len(rows), dtype=bool)
    costs = {id: missing(id, NOT_KNOWN) for id in ("nfe", "time")}
    costs["peak_memory"] = missing("peak_memory", "not recorded")
    if evaluations is not None:
        costs["nfe"] = summarise("nfe", evaluations, nobody, nobody)
    if seconds is not None:
        costs["time"] = measured("time", sum(seconds), n=len(rows))
    if memory is not None:
        costs["peak_memory"] = measured("peak_memory", memory, n=len(rows))
    return costs, memory_of


def _planted(config: RunConfig) -> HasCue | None:
    """The images of a run, if its task has a planted cue."""
    if config.dataset not in DATASETS or not dataset_entry(config.dataset).embedded:
        return None
    if isinstance(config.origin, Imported) and config.origin.images is None:
        return None  # imported, and not found to be images of the set
    images = open_dataset(config.dataset, config.task, config.split)
    return images if isinstance(images, HasCue) and images.cue is not None else None


def _smaller_batches(rows: Sequence[Row], asked: int) -> list[str]:
    """A line if memory ran out and batches were halved: bits are promised for equal sizes only."""
    sizes = sorted({row.batch_size for row in rows if row.batch_size})
    if not sizes:
        return []
    count = sum(row.batch_size is not None for row in rows)
    return [
        f"{count} of {len(rows)} images were made in batches of {' or '.join(map(str, sizes))} "
        f"instead of {asked}, as memory ran out; a few pixels may differ"
    ]


def _wrong_order(rows: Sequence[Row]) -> list[str]:
    """A line if the classifier agrees with the labels far less often than by chance.

    Then labels and outputs are most likely counted in another order.
    """
    labelled = [row for row in rows if row.label >= 0 and row.prediction is not None]
    classes = len({row.label for row in labelled} | {row.prediction for row in labelled})
    agreed = sum(bool(row.correct) for row in labelled)
    if len(labelled) < _ENOUGH or agreed * classes * 2 >= len(labelled):
        return []
    return [
        f"the classifier agrees with {agreed} of {len(labelled)} labels, less than half of what "
        "chance gives: are the classes in the order of its outputs?"
    ]


def _peak_memory(manifest: dict[str, Any]) -> tuple[float | None, str]:
    """Largest peak of a run's sittings, in MiB, and what was counted."""
    peaks = [s["peak_memory_mib"] for s in manifest["sittings"] if "peak_memory_mib" in s]
    kinds = {s.get("peak_memory_of", "") for s in manifest["sittings"]}
    return (max(peaks) if peaks else None), " or ".join(sorted(kinds))
