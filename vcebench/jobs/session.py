"""A request carried out from end to end: run, evaluate, picture; also over several seeds."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.data.base import ImageSet, Task
from vcebench.data.registry import dataset_entry
from vcebench.errors import UserError
from vcebench.evaluating.evaluation import Evaluation, evaluate
from vcebench.evaluating.summary import records, save
from vcebench.evaluating.verdicts import FILED
from vcebench.folders import inside
from vcebench.folders.images import dequantise
from vcebench.folders.runfolder import MANIFEST, RunFolder, seed_folders
from vcebench.folders.store import writing
from vcebench.metrics.diversity import pairwise_distances, sigma_l
from vcebench.metrics.result import MetricValue, missing, summarise
from vcebench.models.bundle import Bundle
from vcebench.models.own_metrics import with_metric_networks
from vcebench.running.assemble import networks_of
from vcebench.running.engines.base import Launcher
from vcebench.running.inputs import check_data
from vcebench.running.progress import Progress
from vcebench.running.runner import run
from vcebench.running.stored import check_classifier, judged_by, networks_of_run
from vcebench.settings.config import RunConfig
from vcebench.settings.custom import CustomTask, stored_custom
from vcebench.settings.origin import Imported
from vcebench.showing.pictures import contact_sheet, png_bytes

CONTACT_SHEET = "contact-sheet.png"
RUNS = Path("runs")
_CHUNK = 64


@dataclass(frozen=True)
class Result:
    """A finished run and its metrics."""

    folder: RunFolder
    evaluation: Evaluation

    def to_frame(self) -> pd.DataFrame:
        """All metrics, one a row, missing ones with their reason."""
        return pd.DataFrame(records(self.evaluation)).set_index("id")

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        known = self.to_frame().dropna(subset=["value"])
        shown = known[["value", "low", "high", "n", "unit", "population"]]
        name = html.escape(self.folder.path.name)
        return f"<p>{name}</p>{shown.to_html(na_rep='')}"


def run_and_measure(
    config: RunConfig,
    images: ImageSet,
    output: Path | None = None,
    threads: int | None = None,
    progress: Callable[[RunConfig], Progress] = Progress,
    data_root: Path | None = None,
    launch: Launcher | None = None,
    custom: CustomTask | None = None,
) -> Result:
    """Make or continue a run, compute its metrics, draw its contact sheet.

    Args:
        config, images: from `vcebench.settings.request.resolve`.
        output: run folder (default: runs/<dataset>-<task>-<method>-<hash>).
        threads: batches at a time on a CPU.
        progress: makes what shows the progress.
        data_root: folder of a data set that does not ship with the package.
        launch: starts the engine (default: on this machine).
        custom: a task of somebody's own, whose file may name networks for metrics alone.

    Raises:
        UserError, StoppedError: see `vcebench.running.runner.run`.
    """
    bundle = measuring = networks_of(config)
    if custom is not None:
        measuring = with_metric_networks(bundle, custom, bundle.device)
    path = output or RUNS / config.folder_name()
    folder = run(config, images, path, bundle, threads, progress, data_root, launch)
    result = Result(folder, evaluate(folder, measuring, threads=threads, data_root=data_root))
    keep(result)
    return result


def run_seeds(
    config: RunConfig,
    images: ImageSet,
    seeds: int,
    output: Path | None = None,
    threads: int | None = None,
    progress: Callable[[RunConfig], Progress] = Progress,
    data_root: Path | None = None,
    launch: Launcher | None = None,
    custom: CustomTask | None = None,
) -> list[Result]:
    """The same run with `seeds` seeds, counted from the configuration's, and σ_L over them.

    The runs lie in sub-folders seed-<s> of the output folder.
    """
    more = (threads, progress, data_root, launch, custom)
    if seeds < 2:
        return [run_and_measure(config, images, output, *more)]
    base = output or RUNS / config.folder_name(seeds)
    results = []
    for seed in range(config.seed, config.seed + seeds):
        one = config.model_copy(update={"seed": seed})
        path = base / f"seed-{seed}"
        results.append(run_and_measure(one, images, path, *more))
    return with_diversity(results, networks_of(config))


def measure_again(
    path: Path,
    limit: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    custom: CustomTask | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    data_root: Path | None = None,
    judge: str | None = None,
) -> list[Result]:
    """The metrics of a stored run, or of the seeds of one; files are renewed unless limited.

    Args:
        path: a run folder, or the folder around seed-<s> folders.
        limit: use only the first images.
        device: where the networks run (default: where the run was made).
        threads: chunks at a time on a CPU.
        custom: the task, if the run is of somebody's own.
        progress: called with the images looked at and all images of a run.
        data_root: folder of a data set that does not ship with the package, for training labels.
        judge: a task of the data set, or a file, whose classifier judges in the place of the one
            that the run explains: a second evaluation, kept beside the run's own. Or `FILED`:
            images count as the program that made them filed them.
    """
    folders = run_folders(path)
    config = folders[0].config()
    if config.shard is not None:
        raise UserError(f"{path} is a shard; `vcebench merge` joins it to the others first")
    name, notes = None, _compared(folders, config, custom)
    if judge is None or judge == FILED:
        if judge is not None:
            name = _as_filed(folders)
        bundle = networks_of_run(folders[0], custom, device)
        for folder in folders[1:]:
            check_classifier(folder, bundle)
    else:
        judged = judged_by(folders[0], judge, custom, device)
        bundle, name = judged.bundle, judged.name
    results = [
        Result(f, evaluate(f, bundle, limit, threads, progress, data_root, name)) for f in folders
    ]
    results = [_with_notes(result, notes) for result in results]
    results = with_diversity(results, bundle, limit) if len(results) > 1 else results
    if limit is None:
        for result in results:
            keep(result)
    return results


def _as_filed(folders: Sequence[RunFolder]) -> str:
    """Name of the evaluation by a program's own verdicts; raises UserError if there are none."""
    for folder in folders:
        if not isinstance(folder.config().origin, Imported):
            raise UserError(
                f"{folder.path} is no import: no other program has filed its images; "
                "leave --populations away"
            )
    return FILED


def _compared(
    folders: Sequence[RunFolder], config: RunConfig, custom: CustomTask | None
) -> list[str]:
    """Refuse data that are not those of the runs; what could not be compared, as lines."""
    if config.custom is None or custom is None or isinstance(config.origin, Imported):
        return []  # an imported run has no other images than its own
    return check_data(folders, stored_custom(config.custom), custom)


def _with_notes(result: Result, notes: Sequence[str]) -> Result:
    evaluation = result.evaluation
    return replace(result, evaluation=replace(evaluation, notes=(*evaluation.notes, *notes)))


def task_of(config: RunConfig) -> Task:
    """The task a run is about, a registered one or somebody's own."""
    if config.custom is not None:
        return stored_custom(config.custom).task()
    return dataset_entry(config.dataset).task(config.task)


def run_folders(path: Path) -> list[RunFolder]:
    """The run folder at `path`, or those of its seeds in their order."""
    seeds = seed_folders(path)
    if seeds and not inside.exists(path, MANIFEST):
        return [RunFolder(seed) for seed in seeds]
    return [RunFolder.existing(path)]


def keep(result: Result) -> None:
    """Write metrics and contact sheet into the run folder."""
    folder = result.folder
    save(folder, result.evaluation)
    if result.evaluation.judge is not None:
        return
    config = folder.config()
    sheet = contact_sheet(folder, task_of(config))
    with writing(folder.path):
        inside.write_lasting(folder.path, CONTACT_SHEET, png_bytes(sheet))


def with_diversity(
    results: Sequence[Result], bundle: Bundle, limit: int | None = None
) -> list[Result]:
    """The results of several seeds with σ_L in each of them; also written to their files."""
    value = diversity([result.folder for result in results], bundle, limit)
    renewed = []
    for result in results:
        values = {**result.evaluation.values, "sigma_l": value}
        renewed.append(replace(result, evaluation=replace(result.evaluation, values=values)))
        if limit is None:
            save(result.folder, renewed[-1].evaluation)
    return renewed


@torch.no_grad()
def diversity(
    folders: Sequence[RunFolder], bundle: Bundle, limit: int | None = None
) -> MetricValue:
    """σ_L over the seeds of a run, on images that are finite in all of them."""
    rows = [{row.id: row for row in folder.rows() if row.finite} for folder in folders]
    if {folder.config().model_copy(update={"seed": 0}).digest() for folder in folders} != {
        folders[0].config().model_copy(update={"seed": 0}).digest()
    }:
        raise UserError(f"the seeds in {folders[0].path.parent} differ in more than the seed")
    shared = [id for id in rows[0] if all(id in other for other in rows)][:limit]
    if bundle.lpips is None and "lpips" in bundle.missing:
        return missing("sigma_l", bundle.missing["lpips"])
    name = f"LPIPS's formula, unweighted, on {bundle.backbones.get('perceptual', 'perceptual')}"
    look: Callable[[Tensor], Tensor] | None = bundle.perceptual
    distance: Callable[[Tensor, Tensor], Tensor] = feature_distance
    if bundle.lpips is not None:
        name = bundle.backbones.get("lpips", "LPIPS")
        look, distance = nn.Identity(), bundle.lpips
    if look is None:
        return missing("sigma_l", "there is no network to compare images with", backbone=name)
    if not shared:
        return missing("sigma_l", "no image is finite in all seeds", backbone=name)
    device = bundle.device
    values: list[float] = []
    for start in range(0, len(shared), _CHUNK):
        chunk = shared[start : start + _CHUNK]
        features = [
            look(dequantise(folder.images("counterfactuals", [own[id] for id in chunk]).to(device)))
            for folder, own in zip(folders, rows, strict=True)
        ]
        values += list(sigma_l(pairwise_distances(features, distance), len(folders)))
    nobody = [False] * len(values)
    return summarise("sigma_l", values, nobody, nobody, backbone=name)


def feature_distance(a: Tensor, b: Tensor) -> Tensor:
    """LPIPS's formula without learned weights, on one layer's features (Zhang et al., 2018, Eq. 1).

    Features (B, C, H, W) are scaled to unit length over the channels; the squared difference is
    summed over channels and averaged over pixels. Returns (B,).
    """
    difference = F.normalize(a, dim=1, eps=1e-10) - F.normalize(b, dim=1, eps=1e-10)
    return difference.square().sum(dim=1).mean(dim=(1, 2))
