"""From a stored run folder to its metrics. Only what is stored counts, so anyone can repeat it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from vcebench.config import PROTOCOL, RunConfig
from vcebench.data.base import HasCue
from vcebench.data.registry import DATASETS, dataset_entry, open_dataset
from vcebench.errors import UserError, one_line
from vcebench.extraction import Extracted, extract
from vcebench.metrics import attributes, cues, frechet, kid, similarity, verification
from vcebench.metrics.populations import populations
from vcebench.metrics.registry import METRICS
from vcebench.metrics.result import MetricValue, measure, measured, missing, summarise
from vcebench.metrics.sfid import split_fid
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import PairClassifier
from vcebench.rows import Row
from vcebench.runfolder import RunFolder
from vcebench.scratch import scratch_folder


@runtime_checkable
class HasAttributes(Protocol):
    """An image set that knows binary attributes of its examples, for CD's label correlation."""

    @property
    def attribute_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def attributes(self, indices: Sequence[int]) -> npt.NDArray[np.bool_]: ...


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one run.

    Attributes:
        values: one entry per metric of the protocol, missing ones with their reason.
        images: number of explained images; `non_finite` of them have no counterfactual and are
            not counted by any metric.
        float_fr: flip rate before quantisation, in percent; None without images.
        seconds_per_image: mean share of the wall time; None without images.
        memory_of: what `peak_memory` counted.
        protocol: name and version of the definitions.
        notes: what a reader should know beside the numbers.
        per_image: metric id → image id → value in the metric's unit, for metrics that are means
            over images; also of images outside the metric's population, if it is defined for them.
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


@dataclass
class _Context:
    """What the single metrics are computed from."""

    config: RunConfig
    rows: list[Row]
    found: Extracted
    bundle: Bundle
    flipped: npt.NDArray[np.bool_]
    correct: npt.NDArray[np.bool_]
    data_root: Path | None = None
    planted: HasCue | None = None
    notes: list[str] = field(default_factory=list)
    columns: dict[str, dict[str, float]] = field(default_factory=dict)

    def per_image(self, id: str, values: Any, role: str | None = None) -> MetricValue:
        """Mean over the metric's population; the single values are kept."""
        name = self.backbone(role)
        scaled = np.asarray(values, dtype=np.float64) * METRICS[id].scale
        pairs = zip(self.rows, scaled.tolist(), strict=True)
        self.columns[id] = {row.id: v for row, v in pairs if not np.isnan(v)}
        return summarise(id, values, self.flipped, self.correct, backbone=name)

    def absent(self, role: str, otherwise: str) -> str:
        """Why a role's network is not there."""
        return self.bundle.missing.get(role, otherwise)

    def backbone(self, role: str | None) -> str | None:
        """Readable name of the network in a role."""
        return None if role is None else self.bundle.backbones.get(role, role)


def evaluate(
    folder: RunFolder,
    bundle: Bundle,
    limit: int | None = None,
    threads: int | None = None,
) -> Evaluation:
    """All metrics of a run, from its stored images and rows.

    Args:
        folder: the run.
        bundle: networks of its task.
        limit: use only the first images, in the order of the data set.
        threads: chunks at a time on a CPU.

    Raises:
        UserError: nothing is stored, or a stored image cannot be read.
    """
    manifest = folder.manifest()
    rows = folder.rows()[:limit]
    if not rows:
        raise UserError(f"{folder.path} holds no finished image; run it first")
    finite = [row for row in rows if row.finite]
    values: dict[str, MetricValue] = {}
    notes: list[str] = []
    per_image: dict[str, dict[str, float]] = {}
    if finite:
        with scratch_folder() as scratch:
            values, context = _measure(folder, finite, bundle, scratch, threads)
        notes, per_image = context.notes, context.columns
    notes += _smaller_batches(rows, manifest["config"]["batch_size"])
    memory, memory_of = _peak_memory(manifest)
    nobody = np.zeros(len(rows), dtype=bool)
    values["nfe"] = summarise("nfe", [row.nfe for row in rows], nobody, nobody)
    values["time"] = measured("time", sum(row.seconds for row in rows), n=len(rows))
    values["peak_memory"] = (
        missing("peak_memory", "not recorded")
        if memory is None
        else measured("peak_memory", memory, n=len(rows))
    )
    return Evaluation(
        values={
            id: values.get(id) or missing(id, "no image with a finite counterfactual")
            for id in METRICS
        },
        images=len(rows),
        non_finite=len(rows) - len(finite),
        float_fr=100 * float(np.mean([r.flipped_float for r in finite])) if finite else None,
        seconds_per_image=float(np.mean([row.seconds for row in rows])),
        memory_of=memory_of,
        protocol=manifest["protocol"],
        notes=tuple(notes),
        per_image=per_image,
    )


def _measure(
    folder: RunFolder, rows: list[Row], bundle: Bundle, scratch: Path, threads: int | None
) -> tuple[dict[str, MetricValue], _Context]:
    """The metrics that look at images, and what they were computed from."""
    config = folder.config()
    device = next(bundle.classifier.parameters()).device
    planted = _planted(config)
    found = extract(folder, rows, bundle, device, scratch, threads, planted)
    flipped, correct = found.values["margin"] > 0, found.values["correct"]
    root = folder.manifest().get("data_root")
    context = _Context(
        config,
        rows,
        found,
        bundle,
        flipped,
        correct,
        data_root=Path(root) if root else None,
        planted=planted,
    )
    changed = int((flipped != np.array([row.flipped for row in rows])).sum())
    if changed:
        context.notes.append(
            f"{changed} of {len(rows)} images are judged otherwise than when they were made; "
            "the figures are those of now"
        )
    values: dict[str, MetricValue] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for compute in (_flips, _simple, _sets, _identity, _attributes, _truth, _cues):
            values |= compute(context)
    context.notes += sorted(
        {str(w.message) for w in caught if issubclass(w.category, frechet.FewImagesWarning)}
    )
    values["sigma_l"] = missing("sigma_l", "needs --seeds 5")
    return values, context


def _flips(c: _Context) -> dict[str, MetricValue]:
    values = {
        "fr": c.per_image("fr", c.flipped, "classifier"),
        "oracle_fr": missing("oracle_fr", c.absent("oracle", "there is no oracle")),
        "fr_top1": missing("fr_top1", "only for class pairs"),
    }
    if "oracle_fr" in c.found.values:
        values["oracle_fr"] = c.per_image("oracle_fr", c.found.values["oracle_fr"], "oracle")
    if isinstance(c.bundle.classifier, PairClassifier):
        values["fr_top1"] = c.per_image("fr_top1", c.found.values["top1"], "classifier")
    return values


def _simple(c: _Context) -> dict[str, MetricValue]:
    values = {"cout": c.per_image("cout", c.found.values["cout"], "classifier")}
    # Embedded sets have one network for set distances and S3, real ones have SimSiam.
    own = c.bundle.semantic is not None or "semantic" in c.bundle.missing
    role = "semantic" if own else "representation"
    values["s3"] = missing("s3", c.absent(role, "there is no representation network"))
    if role in c.found.pairs:
        values["s3"] = c.per_image("s3", similarity.s3(*c.found.pairs[role]), role)
    for id in ("l1", "l1_norm", "l15_norm", "l2_norm"):
        values[id] = c.per_image(id, c.found.values[id])
    return values


def _sets(c: _Context) -> dict[str, MetricValue]:
    """Set distances: all originals against the flipped counterfactuals."""
    if "representation" not in c.found.pairs:
        reason = c.absent("representation", "there is no representation network")
        return {id: missing(id, reason) for id in ("fid", "kid", "sfid")}
    x, x_cf = c.found.pairs["representation"]
    members = populations(c.flipped, c.correct)["flipped"]
    chosen = np.flatnonzero(members)
    ids = [row.id for row in c.rows]
    compute: dict[str, Callable[[], Any]] = {
        "fid": lambda: frechet.fid(x, x_cf, chosen),
        "kid": lambda: kid.kid(x, x_cf, chosen),
        "sfid": lambda: split_fid(ids, x, x_cf, members),
    }
    name = c.backbone("representation")
    return {id: measure(id, f, n=len(chosen), backbone=name) for id, f in compute.items()}


def _identity(c: _Context) -> dict[str, MetricValue]:
    if "identity" not in c.found.pairs:
        reason = c.absent("identity", f"{c.config.dataset} has no identities")
        return {id: missing(id, reason) for id in ("fva", "fs")}
    cosine = verification.fs(*c.found.pairs["identity"])
    return {
        "fs": c.per_image("fs", cosine, "identity"),
        "fva": c.per_image("fva", verification.verified(cosine), "identity"),
    }


def _attributes(c: _Context) -> dict[str, MetricValue]:
    if "attributes" not in c.found.pairs:
        reason = c.absent("oracle", f"the oracle of {c.config.dataset} decides no attributes")
        return {id: missing(id, reason) for id in ("mnac", "cd")}
    try:
        training = open_dataset(c.config.dataset, c.config.task, "train", c.data_root)
    except (ValueError, UserError, OSError) as error:
        mnac = _mnac(c, slice(None))
        reason = f"needs the attribute labels of the training split: {one_line(error)}"
        return {"mnac": mnac, "cd": missing("cd", reason)}
    if not isinstance(training, HasAttributes):
        raise UserError(f"{c.config.dataset} has an attribute oracle but no attribute labels")
    names = training.attribute_names
    columns = [c.bundle.attributes.index(name) for name in names]
    mnac = _mnac(c, columns)
    attribute = training.task.attribute
    if attribute is not None and attribute not in names:
        return {"mnac": mnac, "cd": missing("cd", f"{attribute} is not among the attributes")}
    query = names.index(attribute) if attribute else -1
    truth = attributes.label_correlation(
        training.attributes(range(len(training))).astype(np.int64), query
    )
    before, after = (array[:, columns] for array in c.found.pairs["attributes"])
    changed = attributes.changes(before, after)[c.flipped]
    return {
        "mnac": mnac,
        "cd": measure(
            "cd",
            lambda: attributes.cd(changed, query, truth),
            n=len(changed),
            interval=lambda: attributes.cd_interval(changed, query, truth),
            backbone=c.backbone("oracle"),
        ),
    }


def _mnac(c: _Context, columns: slice | list[int]) -> MetricValue:
    """Attributes changed, among some columns of the oracle."""
    before, after = (array[:, columns] for array in c.found.pairs["attributes"])
    return c.per_image("mnac", attributes.mnac(before, after), "oracle")


def _truth(c: _Context) -> dict[str, MetricValue]:
    ids = ("gt_iou", "gt_precision", "gt_l1", "off_target")
    if "gt_iou" not in c.found.values:
        reason = f"the true counterfactuals of {c.config.dataset} are not known"
        return {id: missing(id, reason) for id in ids}
    return {id: c.per_image(id, c.found.values[id]) for id in ids}


def _planted(config: RunConfig) -> HasCue | None:
    """The images of a run, if its task has a planted cue."""
    if config.dataset not in DATASETS or not dataset_entry(config.dataset).embedded:
        return None
    images = open_dataset(config.dataset, config.task, config.split)
    return images if isinstance(images, HasCue) and images.cue is not None else None


def _cues(c: _Context) -> dict[str, MetricValue]:
    ids = ("cue_recall", "cue_precision", "share_agreement")
    images = c.planted
    if images is None or images.cue is None:
        reason = f"no shortcut is planted in {c.config.dataset} {c.config.task}"
        return {id: missing(id, reason) for id in ids}
    before, after = c.found.pairs["attributes"]
    column = c.bundle.attributes.index(images.cue)
    recall = cues.cue_recall(before[:, column], after[:, column])
    agreement = missing("share_agreement", f"{images.cue} is the only cause")
    others = [cause for cause in images.causes if cause != images.cue]
    if others:
        cue, other = (c.found.values[f"progress along {name}"] for name in (images.cue, *others))
        share = float(c.bundle.certificate["cue_share"])
        agreement = c.per_image("share_agreement", cues.share_agreement(cue, other, share))
    return {
        "cue_recall": c.per_image("cue_recall", recall, "oracle"),
        "cue_precision": c.per_image("cue_precision", c.found.values["cue_precision"]),
        "share_agreement": agreement,
    }


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


def _peak_memory(manifest: dict[str, Any]) -> tuple[float | None, str]:
    """Largest peak of a run's sittings, in MiB, and what was counted."""
    peaks = [s["peak_memory_mib"] for s in manifest["sittings"] if "peak_memory_mib" in s]
    kinds = {s.get("peak_memory_of", "") for s in manifest["sittings"]}
    return (max(peaks) if peaks else None), " or ".join(sorted(kinds))
