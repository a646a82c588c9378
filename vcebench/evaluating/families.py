"""The metrics by family, from what `extraction` took from a run's stored images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vcebench.data.base import HasCue
from vcebench.errors import UserError, one_line
from vcebench.evaluating.extracted import Extracted
from vcebench.evaluating.training_labels import TrainingLabels, training_labels
from vcebench.evaluating.verdicts import Verdicts
from vcebench.folders.rows import Row
from vcebench.metrics import attributes, cues, frechet, kid, similarity, verification
from vcebench.metrics.registry import METRICS, OUTSIDE
from vcebench.metrics.result import MetricValue, measure, missing, summarise
from vcebench.metrics.sfid import split_fid
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import PairClassifier
from vcebench.settings.config import RunConfig


@dataclass
class Context:
    """What the single metrics are computed from."""

    config: RunConfig
    rows: list[Row]
    found: Extracted
    bundle: Bundle
    verdicts: Verdicts
    data_root: Path | None = None
    planted: HasCue | None = None
    notes: list[str] = field(default_factory=list)
    columns: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def flipped(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the target is seen in the counterfactual."""
        return self.verdicts.flipped

    def per_image(self, id: str, values: Any, role: str | None = None) -> MetricValue:
        """Mean over the metric's population; the single values are kept."""
        name = self.backbone(role)
        scaled = np.asarray(values, dtype=np.float64) * METRICS[id].scale
        pairs = zip(self.rows, scaled.tolist(), strict=True)
        self.columns[id] = {row.id: v for row, v in pairs if not np.isnan(v)}
        if lacking := self.verdicts.lacking(METRICS[id].population):
            return missing(id, lacking, backbone=name)
        return summarise(id, values, self.flipped, self.verdicts.correct, backbone=name)

    def absent(self, role: str, otherwise: str) -> str:
        """Why a role's network is not there."""
        return self.bundle.missing.get(role, otherwise)

    def backbone(self, role: str | None) -> str | None:
        """Readable name of the network in a role, or of what stands in its place."""
        if role == "classifier" and self.verdicts.by is not None:
            return self.verdicts.by
        return None if role is None else self.bundle.backbones.get(role, role)


def _flips(c: Context) -> dict[str, MetricValue]:
    unsure = c.verdicts.lacking("flipped")
    values = {
        "fr": missing("fr", unsure) if unsure else c.per_image("fr", c.flipped, "classifier"),
        "oracle_fr": missing("oracle_fr", c.absent("oracle", "there is no oracle")),
        "fr_top1": missing("fr_top1", "only for class pairs"),
    }
    if "oracle_fr" in c.found.values:
        values["oracle_fr"] = c.per_image("oracle_fr", c.found.values["oracle_fr"], "oracle")
    if isinstance(c.bundle.classifier, PairClassifier):
        values["fr_top1"] = c.per_image("fr_top1", c.found.values["top1"], "classifier")
    return values


def _simple(c: Context) -> dict[str, MetricValue]:
    values = {"cout": missing("cout", c.absent("classifier", "there is no classifier"))}
    if "cout" in c.found.values:
        values["cout"] = c.per_image("cout", c.found.values["cout"], "classifier")
    # Embedded sets have one network for set distances and S3, real ones have SimSiam.
    own = c.bundle.semantic is not None or "semantic" in c.bundle.missing
    role = "semantic" if own else "representation"
    values["s3"] = missing("s3", c.absent(role, "there is no representation network"))
    if role in c.found.pairs:
        values["s3"] = c.per_image("s3", similarity.s3(*c.found.pairs[role]), role)
    for id in ("l1", "l1_norm", "l15_norm", "l2_norm"):
        values[id] = c.per_image(id, c.found.values[id])
    return values


def _sets(c: Context) -> dict[str, MetricValue]:
    """Set distances: all originals against the flipped counterfactuals."""
    if "representation" not in c.found.pairs:
        reason = c.absent("representation", "there is no representation network")
        return {id: missing(id, reason) for id in ("fid", "kid", "sfid")}
    if lacking := c.verdicts.lacking("flipped"):
        return {id: missing(id, lacking) for id in ("fid", "kid", "sfid")}
    x, x_cf = c.found.pairs["representation"]
    chosen = np.flatnonzero(c.flipped)
    ids = [row.id for row in c.rows]
    compute: dict[str, Callable[[], Any]] = {
        "fid": lambda: frechet.fid(x, x_cf, chosen),
        "kid": lambda: kid.block_values(x, x_cf, chosen),
        "sfid": lambda: split_fid(ids, x, x_cf, c.flipped),
    }
    c.notes += [note for note in [kid.estimated(len(ids))] if note]
    name = c.backbone("representation")
    return {id: measure(id, f, n=len(chosen), backbone=name) for id, f in compute.items()}


def _identity(c: Context) -> dict[str, MetricValue]:
    if "identity" not in c.found.pairs:
        reason = c.absent("identity", f"{c.config.dataset} has no identities")
        return {id: missing(id, reason) for id in ("fva", "fs")}
    cosine = verification.fs(*c.found.pairs["identity"])
    return {
        "fs": c.per_image("fs", cosine, "identity"),
        "fva": c.per_image("fva", verification.verified(cosine), "identity"),
    }


def _attributes(c: Context) -> dict[str, MetricValue]:
    if "attributes" not in c.found.pairs:
        reason = f"the oracle of {c.config.dataset} decides no attributes"
        reason = c.absent("oracle", c.absent("attributes", reason))
        return {id: missing(id, reason) for id in ("mnac", "cd")}
    try:
        training = training_labels(c.config, c.bundle, c.data_root)
    except UserError as error:
        return {"mnac": _mnac(c, slice(None)), "cd": missing("cd", one_line(error))}
    columns = [c.bundle.attributes.index(name) for name in training.names]
    return {"mnac": _mnac(c, columns), "cd": _cd(c, training, columns)}


def _cd(c: Context, training: TrainingLabels, columns: list[int]) -> MetricValue:
    """Correlations of changes against those of training labels."""
    if lacking := c.verdicts.lacking("flipped"):
        return missing("cd", lacking)
    try:
        truth = training.correlation()
    except UserError as error:
        return missing("cd", one_line(error))
    assert training.query is not None  # or there were no correlations with it
    query = training.names.index(training.query)
    before, after = (array[:, columns] for array in c.found.pairs["attributes"])
    changed = attributes.changes(before, after)[c.flipped]
    c.notes += [training.note] if training.note else []
    return measure(
        "cd",
        lambda: attributes.cd(changed, query, truth),
        n=len(changed),
        interval=lambda: attributes.cd_interval(changed, query, truth),
        backbone=c.backbone("oracle"),
    )


def _mnac(c: Context, columns: slice | list[int]) -> MetricValue:
    """Attributes changed, among some columns of the oracle."""
    before, after = (array[:, columns] for array in c.found.pairs["attributes"])
    return c.per_image("mnac", attributes.mnac(before, after), "oracle")


def _truth(c: Context) -> dict[str, MetricValue]:
    ids = ("gt_iou", "gt_precision", "gt_l1", "off_target")
    if "gt_iou" not in c.found.values:
        reason = f"the true counterfactuals of {c.config.dataset} are not known"
        return {id: missing(id, reason) for id in ids}
    return {id: c.per_image(id, c.found.values[id]) for id in ids}


def _regions(c: Context) -> dict[str, MetricValue]:
    ids = ("outside_change", "region_area", "region_iou")
    if "region_area" not in c.found.values:
        return {id: missing(id, "explained without a region") for id in ids}
    empty = int((c.found.values["region_area"] == 0).sum())
    if empty:
        c.notes.append(
            f"{empty} of {len(c.rows)} regions are empty; those images stayed as they were"
        )
    unknown = missing("region_iou", f"the true counterfactuals of {c.config.dataset} are not known")
    return {
        id: c.per_image(id, c.found.values[id]) if id in c.found.values else unknown for id in ids
    }


def _cues(c: Context) -> dict[str, MetricValue]:
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


def _outside(c: Context) -> dict[str, MetricValue]:
    """Metrics of plug-ins."""
    return {
        id: c.per_image(id, c.found.values[id])
        if id in c.found.values
        else missing(id, c.found.failures.get(id, "was not computed"))
        for id in OUTSIDE
    }


FAMILIES: tuple[Callable[[Context], dict[str, MetricValue]], ...] = (
    _flips,
    _simple,
    _sets,
    _identity,
    _attributes,
    _truth,
    _regions,
    _cues,
    _outside,
)
"""Each gives its metrics, missing ones with their reason."""
