"""What the figures show, read from stored runs and measured rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vcebench.errors import UserError
from vcebench.evaluating.pairs import check_classes
from vcebench.evaluating.training_labels import training_labels
from vcebench.folders.images import dequantise
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.metrics import attributes, cout
from vcebench.models.bundle import Bundle
from vcebench.results import published
from vcebench.results.measurements import Measurement
from vcebench.results.tables.names import method_name
from vcebench.showing.figures import Curves, Film, Floats, Point, Tries

CURVE_IMAGES = 64
_CHUNK = 64


def label_of(folder: RunFolder) -> str:
    """Name of a run in a figure."""
    return method_name(folder.config().method)


def tries_of(folder: RunFolder) -> Tries:
    """The tries of a run. Raises `UserError` if there is no finished image."""
    rows = [row for row in folder.rows() if not row.already_target]
    if not rows:
        raise UserError(f"{folder.path} holds no finished image; run it first")
    if any(None in (row.nfe, row.lambda_class) for row in rows):
        raise UserError(
            f"the tries of {folder.path} are not known: it was made elsewhere, or without λ_c"
        )
    return Tries(
        label_of(folder),
        [row.lambda_class or 0.0 for row in rows],
        [row.nfe or 0 for row in rows],
        [bool(row.flipped) for row in rows],
    )


def traced(folder: RunFolder) -> list[str]:
    """Ids of the images whose steps are stored."""
    return sorted(row.id for row in folder.rows() if folder.has("trace", row))


def common_image(folders: Sequence[RunFolder], wanted: str | None = None) -> str:
    """An image that is traced in all runs. Raises `UserError` if there is none."""
    shared = set(traced(folders[0])).intersection(*(traced(folder) for folder in folders))
    if wanted is not None and wanted not in shared:
        raise UserError(f"{wanted} is not traced in every run; use `vcebench run --trace N`")
    if not shared:
        raise UserError("no image is traced in every run; use `vcebench run --trace N`")
    return wanted or min(shared)


def film_of(folder: RunFolder, image_id: str) -> Film:
    """The steps of an image. Raises `UserError` if the trace cannot be read."""
    trace = folder.trace(next(row for row in folder.rows() if row.id == image_id))
    return Film(
        label_of(folder),
        [int(i) for i in trace["index"]],
        trace["x_t"].float().numpy(),
        trace["mask_z"][:, 0].numpy(),
        trace["mask_x"][:, 0].numpy(),
    )


@torch.no_grad()
def curves_of(folder: RunFolder, bundle: Bundle, images: int = CURVE_IMAGES) -> Curves:
    """COUT's curves of the first correctly classified images."""
    rows = [row for row in folder.rows() if row.finite and row.correct][:images]
    if not rows:
        raise UserError(f"{folder.path} has no correctly classified image for COUT curves")
    device = bundle.device
    inputs = folder.images("inputs", rows)
    classes = bundle.explained.probabilities(dequantise(inputs[:1].to(device))).shape[1]
    check_classes(folder, rows, classes)
    found = cout.cout(
        inputs,
        folder.images("counterfactuals", rows),
        torch.tensor([row.source for row in rows]),
        torch.tensor([row.target for row in rows]),
        lambda batch: bundle.explained.probabilities(dequantise(batch.to(device))),
    )
    return Curves(label_of(folder), found.fractions, found.target, found.source)


def label_correlations(
    folder: RunFolder, bundle: Bundle, data_root: Path | None = None
) -> tuple[list[str], str, Floats]:
    """Attributes, the queried one, and the correlation of their training labels with it.

    Raises:
        UserError: the data set has no attributes.
    """
    training = training_labels(folder.config(), bundle, data_root)
    if not bundle.attributes or training.query is None:
        raise UserError(f"{folder.config().dataset} has no attributes, hence no CD")
    return list(training.names), training.query, training.correlation()


@torch.no_grad()
def change_correlations(
    folder: RunFolder, bundle: Bundle, names: Sequence[str], query: str
) -> Floats:
    """Correlation of the changes of every attribute with the queried one's, flipped images only."""
    rows = [row for row in folder.rows() if row.finite and row.flipped]
    if len(rows) < 2:
        raise UserError(f"{folder.path} has fewer than 2 flipped images for correlations")
    columns = [bundle.attributes.index(name) for name in names]
    before, after = (_attributes(folder, bundle, kind, rows)[:, columns] for kind in _KINDS)
    return attributes.change_correlation(attributes.changes(before, after), names.index(query))


_KINDS = ("inputs", "counterfactuals")


def _attributes(
    folder: RunFolder, bundle: Bundle, kind: str, rows: Sequence[Row]
) -> npt.NDArray[Any]:
    """Oracle probabilities of stored images, (n, A)."""
    oracle = bundle.oracle
    assert oracle is not None
    device = bundle.device
    parts = []
    for start in range(0, len(rows), _CHUNK):
        images = folder.images(kind, list(rows[start : start + _CHUNK]))
        parts.append(oracle(dequantise(images.to(device))).sigmoid().cpu().numpy())
    return np.concatenate(parts)


def points_of(rows: Sequence[Measurement], task: str) -> list[Point]:
    """Methods with measured time, peak memory and FID; FID on as many images as all of them have.

    Time and memory are those of the efficiency runs, FID that of the larger ones.
    """
    by_metric: dict[str, dict[str, Measurement]] = {"time": {}, "peak_memory": {}, "fid": {}}
    for row in sorted(rows, key=lambda r: r.images):
        if row.metric in by_metric and row.task == task and row.value is not None:
            by_metric[row.metric][row.method] = row
    shared = set(by_metric["time"]) & set(by_metric["peak_memory"]) & set(by_metric["fid"])
    fewest = min((by_metric["fid"][method].images for method in shared), default=0)
    fid = {
        row.method: row
        for row in rows
        if row.metric == "fid"
        and row.task == task
        and row.images == fewest
        and row.value is not None
    }
    points = []
    for method in sorted(shared & fid.keys()):
        time, memory = by_metric["time"][method], by_metric["peak_memory"][method]
        values = [one.value for one in (time, fid[method], memory) if one.value is not None]
        points.append(Point(method_name(method), values[0], values[1], values[2]))
    return points


def printed_points() -> list[Point]:
    """Methods with printed time, memory and FID: the paper's Figure 4 (CelebA, smile)."""
    found: dict[str, dict[str, float]] = {}
    for figure in published.figures():
        place = (figure.source, figure.table)
        if place not in (("maskdime-supp", "7"), ("maskdime", "1"), ("maskdime", "4")):
            continue
        if (figure.dataset, figure.task) == ("celeba", "smile") and figure.number is not None:
            found.setdefault(figure.method, {})[figure.metric] = figure.number
    wanted = ("total_time_s", "fid", "peak_memory_mb")
    return [
        Point(method_name(method), *(values[metric] for metric in wanted))
        for method, values in found.items()
        if all(metric in values for metric in wanted)
    ]
