"""What there is to measure of a chunk of stored pairs: by networks, and by pixels alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vcebench.data.base import HasCue
from vcebench.data.registry import DATASETS
from vcebench.errors import UserError, one_line
from vcebench.evaluating.extracted import Array
from vcebench.folders.images import dequantise
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.metrics import causal, cout, cues, distances, regions
from vcebench.metrics.outside import OutsideMetricError
from vcebench.metrics.registry import OUTSIDE
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import TargetClassifier, remembered


@dataclass(frozen=True)
class Pair:
    """A chunk of stored pairs, uint8 with shape (b, 3, H, W), and the same in [-1, 1]."""

    rows: Sequence[Row]
    originals: Tensor
    counterfactuals: Tensor
    x: Tensor
    x_cf: Tensor
    source: Tensor
    target: Tensor


@contextmanager
def fitting(folder: RunFolder, pair: Pair) -> Iterator[None]:
    """Say in one line that networks do not take images of another size than their data set's."""
    try:
        yield
    except RuntimeError as error:
        height, width = pair.x.shape[2:]
        entry = DATASETS.get(folder.config().dataset)
        if entry is not None and entry.size == (height, width):
            raise
        raise UserError(
            f"{folder.path} holds images of {width}x{height} pixels, which the networks here do "
            f"not take ({one_line(error)[:200]})"
        ) from error


def check_classes(folder: RunFolder, rows: Sequence[Row], count: int) -> None:
    """Refuse rows about classes that a classifier of `count` classes does not have."""
    for row in rows:
        if not (0 <= row.source < count and 0 <= row.target < count):
            raise UserError(
                f"{folder.path} asks to lead image {row.id} from class {row.source} to "
                f"{row.target}, but the classifier here has {count} classes"
            )


def read(folder: RunFolder, rows: Sequence[Row], device: torch.device) -> Pair:
    originals = folder.images("inputs", rows)
    counterfactuals = folder.images("counterfactuals", rows)
    return Pair(
        rows=rows,
        originals=originals,
        counterfactuals=counterfactuals,
        x=dequantise(originals.to(device)),
        x_cf=dequantise(counterfactuals.to(device)),
        source=torch.tensor([row.source for row in rows], device=device),
        target=torch.tensor([row.target for row in rows], device=device),
    )


@torch.no_grad()
def networks(folder: RunFolder, pair: Pair, bundle: Bundle) -> dict[str, Array]:
    """What networks say of one chunk: name → (b,), or "role:x" and "role:x_cf" → (b, d)."""
    asked, x_cf = _asked_once(bundle), pair.x_cf
    found: dict[str, Any] = {}
    if bundle.classifier is not None and asked.classifier is not None:
        found |= _judged(folder, pair, asked.classifier)
        found["cout"] = _cout(pair, bundle.classifier)
    # Channels last: 0.75 of the time on a CPU. The classifier judges as when the images were made.
    x, x_cf = (t.contiguous(memory_format=torch.channels_last) for t in (pair.x, x_cf))
    if asked.judge is not None:
        found["oracle_fr"] = asked.judge.predict(x_cf) == pair.target
    for role, network in _embedders(asked).items():
        found[f"{role}:x"] = network(x).flatten(1)
        found[f"{role}:x_cf"] = network(x_cf).flatten(1)
    return {name: _numpy(value) for name, value in found.items()}


@torch.no_grad()
def pixels(folder: RunFolder, pair: Pair) -> dict[str, Array]:
    """What the pixels of one chunk say: name → (b,)."""
    found: dict[str, Any] = {
        id: getattr(distances, id)(pair.originals, pair.counterfactuals)
        for id in ("l1", "l1_norm", "l15_norm", "l2_norm")
    }
    true = None
    if all(folder.has("truths", row) for row in pair.rows):
        truths = folder.images("truths", pair.rows)
        true = _true_region(folder, pair, truths)
        found |= _against_truth(pair, truths, true)
    found |= _within_regions(folder, pair, true)
    return {name: _numpy(value) for name, value in found.items()}


def _judged(folder: RunFolder, pair: Pair, classifier: TargetClassifier) -> dict[str, Tensor]:
    """What the explained classifier says of a chunk."""
    check_classes(folder, pair.rows, classifier.probabilities(pair.x).shape[1])
    labels = torch.tensor([row.label for row in pair.rows], device=pair.x.device)
    return {
        # A label below 0 is an unlabelled image, which every population of correct ones keeps.
        "correct": (classifier.predict(pair.x) == labels) | (labels < 0),
        "margin": classifier.margin(pair.x_cf, pair.target, pair.source),
        "top1": classifier.predict(pair.x_cf) == pair.target,
    }


def _asked_once(bundle: Bundle) -> Bundle:
    """The bundle with a memory for one chunk: a network is run once over the same images."""
    judge = None if bundle.judge is None else remembered(bundle.judge)
    shared = bundle.judge is not None and bundle.judge.network is bundle.oracle
    return replace(
        bundle,
        classifier=None if bundle.classifier is None else remembered(bundle.classifier),
        judge=judge,
        oracle=judge.network if judge is not None and shared else bundle.oracle,
    )


def _embedders(bundle: Bundle) -> dict[str, Callable[[Tensor], Tensor]]:
    """Role → network whose outputs are compared between original and counterfactual."""
    networks = {
        "representation": bundle.representation,
        "semantic": bundle.semantic,
        "identity": bundle.identity,
    }
    found: dict[str, Callable[[Tensor], Tensor]] = {
        role: network for role, network in networks.items() if network is not None
    }
    oracle = bundle.oracle
    if oracle is not None and bundle.attributes:
        found["attributes"] = lambda x: oracle(x).sigmoid()
    return found


def _cout(pair: Pair, classifier: TargetClassifier) -> Array:
    device = pair.x.device

    def probabilities(images: Tensor) -> Tensor:
        return classifier.probabilities(dequantise(images.to(device)))

    source, target = pair.source.cpu(), pair.target.cpu()
    images = (pair.originals.to(device), pair.counterfactuals.to(device))
    return cout.cout(*images, source, target, probabilities).scores


def _true_region(folder: RunFolder, pair: Pair, truths: Tensor) -> Array:
    """What the true counterfactuals change, boolean (b, H, W)."""
    exact = pair.originals
    if all(folder.has("originals", row) for row in pair.rows):
        # The inputs before a foreign program's JPEG, whose traces are no true region.
        exact = folder.images("originals", pair.rows)
    return causal.true_region(exact, truths)


def _against_truth(pair: Pair, truths: Tensor, region: Array) -> dict[str, Array]:
    edit = (pair.originals, pair.counterfactuals)
    return {
        "gt_iou": causal.gt_iou(*edit, region),
        "gt_precision": causal.gt_precision(*edit, region),
        "gt_l1": causal.gt_l1(pair.counterfactuals, truths),
        "off_target": causal.off_target(*edit, region),
    }


def _within_regions(folder: RunFolder, pair: Pair, true: Array | None) -> dict[str, Array]:
    """What there is to say of the regions the images were explained in; nothing without any."""
    stored = [folder.region(row) for row in pair.rows]
    known = [region for region in stored if region is not None]
    if len(known) < len(stored):
        return {}
    region = torch.stack(known)
    found = {
        "outside_change": regions.outside_change(pair.originals, pair.counterfactuals, region),
        "region_area": regions.region_area(region),
    }
    if true is not None:
        found["region_iou"] = regions.region_iou(region, true)
    return found


def along_causes(pair: Pair, planted: HasCue | None) -> dict[str, Array]:
    """`cue_precision`, and "progress along CAUSE" of every cause, if there is a planted cue."""
    if planted is None or planted.cue is None:
        return {}
    count = len(planted)
    if far := [row for row in pair.rows if row.index >= count or row.target not in (0, 1)]:
        raise UserError(f"image {far[0].id} is at no place of the data set, which has {count}")
    truths = [planted.single_truths(row.index, row.target) for row in pair.rows]
    edit = (pair.originals, pair.counterfactuals)
    region = torch.stack([truth[planted.cue].region for truth in truths])
    found = {"cue_precision": cues.cue_precision(*edit, region)}
    for cause in planted.causes:
        changed = torch.stack([truth[cause].counterfactual for truth in truths])
        found[f"progress along {cause}"] = cues.progress(*edit, changed)
    return found


def from_outside(pair: Pair, bundle: Bundle, failures: dict[str, str]) -> dict[str, Array]:
    """Values of the metrics of plug-ins; one that fails is left out, and says why."""
    found: dict[str, Array] = {}
    for id, metric in OUTSIDE.items():
        try:
            found[id] = metric.values(
                pair.originals,
                pair.counterfactuals,
                source=pair.source,
                target=pair.target,
                classifier=bundle.classifier,
            )
        except OutsideMetricError as error:
            failures[id] = one_line(error)
    return found


def _numpy(value: Any) -> Array:
    return value.cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
