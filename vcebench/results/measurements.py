"""Measured figures as tidy rows: read from run folders and from committed CSV files.

A run folder counts with what its `metrics*.json` say; a file `metrics-first-N.json` holds the same
run evaluated on its first N images, so that set distances of slow methods compare at equal n.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from vcebench.data.registry import DATASETS, dataset_entry
from vcebench.errors import UserError, one_line, user_errors
from vcebench.folders.rows import NOT_KNOWN, backward_per_image, nfe_per_try
from vcebench.folders.runfolder import MANIFEST, RunFolder, seed_folders
from vcebench.methods.registry import METHODS
from vcebench.settings.config import RunConfig
from vcebench.settings.origin import Imported
from vcebench.settings.presets import preset
from vcebench.settings.request import configured_method, usual_settings


@dataclass(frozen=True)
class Measurement:
    """One measured figure of one method, or the reason why it is missing.

    Attributes:
        dataset, task, method, metric: what was measured.
        value: the figure in the metric's unit; None if missing.
        lo, hi: 95 % bootstrap interval, None without one.
        n: images the metric counts.
        images: images explained.
        population, backbone: which images, and by which network; empty if none.
        seed: of the noise.
        device, commit, date: where, with which code, and when (ISO) it was run.
        protocol: name and version of the definitions.
        note: the reason if missing; else batch size and τ.
    """

    dataset: str
    task: str
    method: str
    metric: str
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    images: int
    population: str
    backbone: str
    seed: str
    device: str
    commit: str
    date: str
    protocol: str
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What may be measured only once in a table."""
        return (self.dataset, self.task, self.method, self.metric, self.images)


COLUMNS = tuple(field.name for field in fields(Measurement))


@dataclass(frozen=True)
class StoredRun:
    """A run folder with metrics.

    Attributes:
        path: the folder.
        config: what the run was asked for.
        others: settings in which it differs from the data set's preset, τ apart.
        usual_tau: τ is the preset's.
        figures: its metrics.
        nfe_per_try: mean prior evaluations per image and try.
    """

    path: Path
    config: RunConfig
    others: tuple[str, ...]
    usual_tau: bool
    figures: tuple[Measurement, ...]
    nfe_per_try: float | None


def run_folders(root: Path) -> list[Path]:
    """Run folders at `root` or anywhere below it, seeds of a run included."""
    if not root.is_dir():
        return []
    return sorted(path.parent for path in root.rglob(MANIFEST))


def stored_runs(root: Path) -> tuple[list[StoredRun], list[str]]:
    """Runs below a folder that have metrics, and remarks on those that cannot be used."""
    found, remarks = [], []
    for path in run_folders(root):
        if "-shard-" in path.name and _is_shard(path):
            remarks.append(f"{path} is a shard; `vcebench merge` joins it to the others")
            continue
        try:
            if not RunFolder(path).metrics_files():
                remarks.append(f"{path} has no metrics; `vcebench evaluate {path}` computes them")
                continue
            found.append(read_run(path))
        except UserError as error:
            remarks.append(str(error))
    return found, remarks


def _is_shard(path: Path) -> bool:
    """Whether a folder holds only a part of a run."""
    try:
        return RunFolder(path).config().shard is not None
    except UserError:
        return False


def read_run(path: Path) -> StoredRun:
    """The metrics of one run folder. Raises `UserError` if a file does not hold what it should."""
    folder = RunFolder.existing(path)
    manifest, config = folder.manifest(), folder.config()
    figures: list[Measurement] = []
    for name in folder.metrics_files():
        document = folder.metrics(name)
        if document is not None:
            own = _figures(document, manifest, config, _seeds(path, config))
            backward = _backward(folder, document)
            if backward is not None:
                own += _derived(own, "backward_per_image", backward)
            figures += own
    whole = folder.metrics() or {}
    # Evaluations of earlier versions did not say it.
    if "nfe_per_try" in whole:
        folder.check_rows()
        per_try = whole["nfe_per_try"]
    else:
        per_try = nfe_per_try(folder.rows())
    if per_try is not None:
        figures += _derived(figures, "nfe_per_try", per_try)
    others, usual_tau = deviations(config)
    return StoredRun(path, config, others, usual_tau, tuple(figures), per_try)


def _backward(folder: RunFolder, document: dict[str, Any]) -> float | None:
    """Backward passes per image of an evaluation; earlier versions did not say them."""
    if "backward_per_image" in document:
        found: float | None = document["backward_per_image"]
        return found
    explained = [row for row in folder.rows() if not row.already_target]
    return backward_per_image(explained[: document["images"]])


def deviations(config: RunConfig) -> tuple[tuple[str, ...], bool]:
    """Settings of a run that are not its preset's (as "name=value"), and whether τ is usual."""
    if config.origin is not None:
        return _from_outside(config), True
    if config.method not in METHODS:
        return (f"method={config.method}",), True
    chosen = preset(config.dataset, config.task)
    with user_errors():
        settings = usual_settings(config.method, config.dataset, config.task)
        usual = configured_method(config.method, settings, {}).settings()
    wanted: dict[str, Any] = {f"settings.{name}": value for name, value in usual.items()}
    wanted |= {
        "split": _split(config),
        "precision": "exact",
        "image_format": "png",
        "classifier": "task",
        "region": METHODS[config.method].region,
    }
    wanted["guidance"] = type(config.guidance)(class_factor=chosen.class_factor)
    actual: dict[str, Any] = {f"settings.{k}": v for k, v in config.settings.items()}
    names = ("split", "precision", "image_format", "classifier", "region")
    actual |= {name: getattr(config, name) for name in names}
    actual["guidance"] = config.guidance
    tau = "settings.tau"
    others = sorted(
        f"{name.removeprefix('settings.')}={actual.get(name)}"
        for name in (wanted.keys() | actual.keys()) - {tau}
        if wanted.get(name) != actual.get(name)
    )
    return tuple(others), wanted.get(tau) == actual.get(tau)


def _from_outside(config: RunConfig) -> tuple[str, ...]:
    """What keeps images made elsewhere from standing beside our own runs."""
    usual = {"split": _split(config), "classifier": "task"}
    return tuple(
        f"{name}={getattr(config, name)}"
        for name, value in usual.items()
        if getattr(config, name) != value
    )


def _split(config: RunConfig) -> str:
    """The split of the protocol."""
    return dataset_entry(config.dataset).default_split if config.dataset in DATASETS else "test"


def _seeds(path: Path, config: RunConfig) -> str:
    """The seeds a run lies among, e.g. "0-4"; its own one if it is alone."""
    seeds = [int(folder.name.removeprefix("seed-")) for folder in seed_folders(path.parent)]
    return f"{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else str(config.seed)


def _figures(
    document: dict[str, Any], manifest: dict[str, Any], config: RunConfig, seeds: str
) -> list[Measurement]:
    sittings = manifest.get("sittings") or [{}]
    last = sittings[-1]
    threads = last.get("threads")
    device = f"{last.get('device', config.device)}"
    if config.device == "cpu" and threads:
        device = f"CPU {device}, {threads} thread{'s' if threads != 1 else ''}"
    usual = f"batch {config.batch_size}, τ {config.settings.get('tau', '?')}"
    if isinstance(config.origin, Imported):
        device, usual = NOT_KNOWN, f"imported, layout {config.origin.layout}"
    elif config.origin is not None:
        usual = f"plug-in {config.origin.where}"
    return [
        Measurement(
            dataset=config.dataset,
            task=config.task,
            method=config.method,
            metric=record["id"],
            value=record["value"],
            lo=record["low"],
            hi=record["high"],
            n=record["n"],
            images=document["images"],
            population=record["population"],
            backbone=record["backbone"] or "",
            seed=seeds if record["id"] == "sigma_l" else str(config.seed),
            device=device,
            commit=last.get("git_commit") or "",
            date=last.get("started", "")[:10],
            protocol=record["protocol"],
            note=record["reason"] or usual,
        )
        for record in document["metrics"]
    ]


def _derived(figures: Sequence[Measurement], metric: str, value: float) -> list[Measurement]:
    """A figure beside the metrics, for every number of images the run was evaluated on."""
    return [
        replace(figure, metric=metric, value=value, lo=None, hi=None)
        for figure in figures
        if figure.metric == "nfe"
    ]


def complexities(runs: Iterable[StoredRun]) -> list[Measurement]:
    """The power of τ by which evaluations per try grow, of methods run at two values of τ."""
    by_method: dict[tuple[str, str, str], dict[int, StoredRun]] = {}
    for run in runs:
        tau = run.config.settings.get("tau")
        if run.others or run.nfe_per_try is None or not isinstance(tau, int):
            continue
        key = (run.config.dataset, run.config.task, run.config.method)
        by_method.setdefault(key, {})[tau] = run
    found = []
    for group in by_method.values():
        low, high = min(group), max(group)
        few, many = group[low].nfe_per_try, group[high].nfe_per_try
        if low == high or not few or not many:
            continue
        power = math.log(many / few) / math.log(high / low)
        note = f"NFE per try {few:g} at τ {low}, {many:g} at τ {high}"
        usual = next((run for run in group.values() if run.usual_tau), group[high])
        found += [replace(f, note=note) for f in _derived(usual.figures, "complexity", power)]
    return found


def read_csv(path: Path) -> list[Measurement]:
    """Rows of a committed file. Raises `UserError` naming the line that does not fit."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({one_line(error)})") from error
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise UserError(f"{path}: columns are not {','.join(COLUMNS)}; export it again")
    found = []
    for line, row in enumerate(rows, start=2):
        try:
            found.append(_parse(row))
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}, line {line}: {one_line(error)}; export it again") from error
    return found


def _parse(row: dict[str, str]) -> Measurement:
    numbers: dict[str, Any] = {
        name: float(row[name]) if row[name] else None for name in ("value", "lo", "hi")
    }
    if any(number is not None and not math.isfinite(number) for number in numbers.values()):
        raise ValueError("a figure is not finite")
    counts: dict[str, Any] = {name: int(row[name]) for name in ("n", "images")}
    texts: dict[str, Any] = dict(row)
    return Measurement(**{**texts, **numbers, **counts})


def to_csv(rows: Iterable[Measurement]) -> str:
    """Rows as the text of a committed file."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        content = asdict(row)
        for name in ("value", "lo", "hi"):
            content[name] = "" if content[name] is None else f"{content[name]:.6g}"
        writer.writerow(content)
    return buffer.getvalue()
