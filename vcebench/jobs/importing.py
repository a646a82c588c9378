"""A folder of somebody else's counterfactuals becomes a run folder: `vcebench import`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vcebench.data.base import Task
from vcebench.data.ids import safe_name
from vcebench.data.registry import DATASETS, dataset_entry
from vcebench.errors import UserError, user_errors
from vcebench.folders.foreign.pairs import PAIRS, Found, Pair, read_list, read_two_folders
from vcebench.folders.foreign.reading import UnusableFileError, read_picture
from vcebench.folders.foreign.summaries import checks
from vcebench.folders.foreign.trees import (
    LAYOUTS,
    RESULTS,
    Keep,
    chosen_experiment,
    detected,
    read_tree,
)
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import drafted, open_store
from vcebench.jobs.adopting import Adoption
from vcebench.jobs.matching import AUTO, Matched, is_near, propose
from vcebench.jobs.session import RUNS
from vcebench.models.bundle import Bundle
from vcebench.models.loading import load_bundle
from vcebench.models.own import NO_CLASSIFIER, load_own_bundle
from vcebench.settings.config import PROTOCOL, RunConfig, build_config
from vcebench.settings.custom import CustomTask
from vcebench.settings.origin import FOREIGN, Imported
from vcebench.weights.shipped import NetworkFileError

PAIRS_LAYOUT = "pairs"
NAMED = 1000
"""Left out images that a manifest names; further ones are only counted."""

_UNKNOWN = ("settings", "guidance", "batch_size", "precision", "trace", "skip_bad")


@dataclass(frozen=True)
class ImportRequest:
    """What was asked for.

    Attributes:
        path: the foreign folder, or a pairs.csv.
        layout: "auto", "pairs", or one of `LAYOUTS`.
        dataset, task: what the images are about; `custom` takes their place for an own task.
        name: what tables call the method (default: what the folder says, or its layout).
        experiment, part: which results of the folder.
        images: see `vcebench.jobs.matching.propose`.
        seed: which of several seeds; also the run's.
        keep: see `vcebench.folders.foreign.trees.read_tree`.
        judge: ask the task's classifier; without it the program's own verdicts stand.
        device: where it judges.
        data_root: folder of a data set that does not ship.
        output: the run folder (default: below runs/).
        threads: files at a time.
    """

    path: Path
    layout: str = "auto"
    dataset: str | None = None
    task: str | None = None
    custom: CustomTask | None = None
    name: str | None = None
    experiment: str | None = None
    part: str | None = None
    images: str = AUTO
    seed: int | None = None
    keep: Keep = "refuse"
    judge: bool = True
    device: str = "cpu"
    data_root: Path | None = None
    output: Path | None = None
    threads: int | None = None


@dataclass(frozen=True)
class ImportReport:
    """What an import came to.

    Attributes:
        folder: the run folder.
        images: imported.
        left_out: name in the foreign folder → why it is not there.
        notes: what to know.
        said, judged: flip rates in percent, by the program and by the classifier here.
        compared, differ: images with both verdicts, and those of them where they differ.
    """

    folder: RunFolder
    images: int
    left_out: Mapping[str, str]
    notes: Sequence[str]
    said: float | None
    judged: float | None
    compared: int
    differ: int


def import_folder(
    request: ImportRequest, progress: Callable[[int, int], None] = lambda done, total: None
) -> ImportReport:
    """Make the run folder of a foreign folder; nothing is left of it unless it is complete.

    Args:
        progress: called with the pairs done and all pairs.

    Raises:
        UserError: the folder is not what it should be, nothing can be imported, or the run folder
            exists.
    """
    dataset, task = _task(request)
    found = find(request, task)
    notes = [*found.notes, *checks(found)]
    config = _config(request, dataset, task, found)
    bundle = _networks(request, config, notes)
    with ThreadPoolExecutor(request.threads or os.cpu_count() or 1, "vcebench") as pool:
        matched = _matched(request, config, found, pool, notes)
        if matched is not None and isinstance(config.origin, Imported):
            origin = config.origin.model_copy(update={"images": matched.title})
            config = config.model_copy(update={"origin": origin, "split": matched.images.split})
        classifier = None if bundle is None else bundle.classifier
        adoption = Adoption(found, task, classifier, matched, torch.device(config.device))
        output = request.output or RUNS / _folder_name(config, found)
        with drafted(output) as path:
            manifest = _manifest(config, bundle, request.data_root)
            rows = _write(path, manifest, adoption, pool, notes, progress)
    return _report(RunFolder(output), rows, found, adoption, notes)


def find(request: ImportRequest, task: Task) -> Found:
    """The pairs of the folder, by its layout. Raises `UserError`."""
    path, layout = request.path, request.layout
    if layout not in ("auto", PAIRS_LAYOUT, *LAYOUTS):
        raise UserError(f"unknown layout {layout!r}; use auto, pairs, {', '.join(LAYOUTS)}")
    if not path.exists():
        raise UserError(f"there is no {path}; give the folder that the program wrote into")
    if layout == PAIRS_LAYOUT or (layout == "auto" and not (path / RESULTS).is_dir()):
        classes = dict(zip(task.labels, task.classes, strict=True))
        listed = path if path.is_file() else path / PAIRS
        if listed.is_file():
            return read_list(listed, classes, request.seed, request.name)
        if layout == PAIRS_LAYOUT or (path / "inputs").is_dir():
            return read_two_folders(path)
        raise UserError(f"{path} holds no {PAIRS}, no inputs/ and no {RESULTS}/; give another one")
    experiment = chosen_experiment(path, request.experiment)
    kind = detected(path, experiment) if layout == "auto" else LAYOUTS[layout]
    return read_tree(path, kind, experiment, request.part, request.keep)


def _task(request: ImportRequest) -> tuple[str, Task]:
    """Name of the data set, and the task."""
    if request.custom is not None:
        if request.dataset or request.task:
            raise UserError("--config brings its own task: leave --dataset and --task away")
        return request.custom.name, request.custom.task()
    if request.dataset is None:
        raise UserError("say what the images are of: --dataset ID, or --config FILE.toml")
    with user_errors():
        return request.dataset, dataset_entry(request.dataset).task(request.task)


def _config(request: ImportRequest, dataset: str, task: Task, found: Found) -> RunConfig:
    name = request.name or found.method or found.layout
    if safe_name(name) != name:
        raise UserError(f"--name is {name!r}; use letters, digits, dot, minus and underscore")
    custom = request.custom
    return build_config(
        method=f"{FOREIGN}{name}",
        dataset=dataset,
        task=task.name,
        split=DATASETS[dataset].default_split if dataset in DATASETS else "all",
        limit=max(1, len(found.pairs)),
        seed=request.seed or 0,
        device=request.device,
        custom=None if custom is None else custom.model_dump(mode="json"),
        origin=Imported(layout=found.layout, part=found.part),
    )


def _networks(request: ImportRequest, config: RunConfig, notes: list[str]) -> Bundle | None:
    """The networks of the task; None, and a note, if there is no classifier."""
    if not request.judge:
        notes.append("not judged here: the program's own verdicts stand")
        return None
    nothing: frozenset[str] = frozenset()
    if request.custom is not None:
        if request.custom.classifier is None:
            notes.append(f"{NO_CLASSIFIER}, so the program's own verdicts stand")
            return None
        return load_own_bundle(request.custom, config.device, needs=nothing, metrics=False)
    try:
        return load_bundle(config.dataset, config.task, config.device, needs=nothing, metrics=False)
    except NetworkFileError:
        notes.append(
            f"no classifier of {config.dataset} is here, so the program's own verdicts stand; "
            f"`vcebench check --dataset {config.dataset}` says what to fetch"
        )
        return None


def _matched(
    request: ImportRequest, config: RunConfig, found: Found, pool: Executor, notes: list[str]
) -> Matched | None:
    """Where in the data set the inputs are, verified picture by picture.

    Raises `UserError` if they are not what was said.
    """
    proposed = propose(request.images, config.dataset, config.task, found.pairs, request.data_root)
    if proposed is None:
        return None

    def differs(pair: Pair) -> bool:
        try:
            image, _ = read_picture(found.root, pair.input)
        except UnusableFileError:
            return False  # left out later, with its reason
        return not is_near(pair, image, proposed.example(pair))

    others = [p.id for p, d in zip(found.pairs, pool.map(differs, found.pairs), strict=True) if d]
    if not others:
        return proposed
    line = f"{len(others)} inputs ({others[0]}, …) are not the images of {proposed.title}"
    if request.images != AUTO:
        raise UserError(f"{line}; use --images none")
    notes.append(f"{line}: no truth is known, and ids are the folder's own")
    return None


def _write(
    path: Path,
    manifest: dict[str, Any],
    adoption: Adoption,
    pool: Executor,
    notes: Sequence[str],
    progress: Callable[[int, int], None],
) -> list[Row]:
    """Rows and files of the run; raises `UserError` if not one pair can be used."""
    total, done = len(adoption.found.pairs), 0
    rows: list[Row] = []
    with open_store(path, manifest) as store:
        for results in adoption.results(pool):
            store.commit(results)
            rows += [result.row for result in results]
            done = len(rows) + len(adoption.left_out)
            progress(min(done, total), total)
        if not rows:
            left_out = {**adoption.found.left_out, **adoption.left_out}
            why = next((f": {name}: {reason}" for name, reason in left_out.items()), "")
            more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
            raise UserError(f"{adoption.found.root} holds nothing to import{why}{more}")
        store.finish(**_told(adoption, notes))
    return rows


def _manifest(config: RunConfig, bundle: Bundle | None, data_root: Path | None) -> dict[str, Any]:
    facts = {} if bundle is None else bundle.facts()
    return {
        "format": 1,
        "protocol": PROTOCOL,
        "status": "running",
        "config": config.model_dump(mode="json", exclude=set(_UNKNOWN)),
        "config_hash": config.digest(),
        "networks": {role: facts[role] for role in ("classifier",) if role in facts},
        "data_root": None if data_root is None else str(data_root.resolve()),
        "sittings": [],
    }


def _told(adoption: Adoption, notes: Sequence[str]) -> dict[str, Any]:
    """What the manifest says of the foreign folder."""
    found = adoption.found
    lines = sorted(adoption.lines, key=lambda line: line[66:])
    left_out = {**found.left_out, **adoption.left_out}
    endings = sorted({Path(pair.counterfactual).suffix for pair in found.pairs})
    return {
        "imported": {
            "folder": found.root.resolve().name,
            "experiment": found.experiment,
            "image_format": ", ".join(endings),
            "files": len(lines),
            # Of the lines that sha256sum prints, in the order of the paths.
            "sha256": hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest(),
            "left_out": len(left_out),
            "notes": list(notes),
        },
        "skipped": dict(list(left_out.items())[:NAMED]),
    }


def _folder_name(config: RunConfig, found: Found) -> str:
    """Default name; two folders of the same layout do not get the same one."""
    place = f"{found.root.resolve()} {found.experiment}"
    mark = hashlib.sha256(f"{config.digest()} {place}".encode()).hexdigest()[:8]
    name = config.method.removeprefix(FOREIGN)
    return f"foreign-{config.dataset}-{config.task}-{name}-{mark}"


def _report(
    folder: RunFolder, rows: Sequence[Row], found: Found, adoption: Adoption, notes: Sequence[str]
) -> ImportReport:
    said = [row.flipped_foreign for row in rows if row.flipped_foreign is not None]
    judged = [row.flipped for row in rows if row.margin is not None]
    both = [row for row in rows if row.flipped_foreign is not None and row.margin is not None]
    return ImportReport(
        folder=folder,
        images=len(rows),
        left_out={**found.left_out, **adoption.left_out},
        notes=notes,
        said=100 * sum(said) / len(said) if said else None,
        judged=100 * sum(map(bool, judged)) / len(judged) if judged else None,
        compared=len(both),
        differ=sum(row.flipped != row.flipped_foreign for row in both),
    )
