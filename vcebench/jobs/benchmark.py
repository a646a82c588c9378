"""`vcebench.Benchmark`: the command line's runs from Python, for notebooks and scripts."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image
from torch import Tensor

from vcebench.data.base import HasTruth
from vcebench.errors import UserError
from vcebench.evaluating.evaluation import Evaluation
from vcebench.folders.runfolder import RunFolder
from vcebench.jobs.session import RUNS, Result, measure_again, run_and_measure
from vcebench.metrics.registry import METRICS, metric
from vcebench.settings.config import GuidanceConfig
from vcebench.settings.installed import load_installed
from vcebench.settings.plugins import of_callable, register
from vcebench.settings.request import Request, resolve
from vcebench.showing.grids import grid

SHOWN = (
    *("fr", "oracle_fr", "cout", "s3", "fs", "l1", "kid"),
    *("gt_iou", "gt_precision", "gt_l1", "nfe"),
)
"""Metrics of a table unless others are asked for; those that no run has are left out."""


class Benchmark:
    """Methods on the same images of one task, run, measured and shown side by side.

    Runs are stored where the command line stores them, so that what exists is not made again, and
    `vcebench report`, `compare` and `table` know them.

    Args:
        dataset: id of a data set, see `vcebench list datasets`.
        task: what is flipped (default: the set's first task).
        limit: number of images (default: the data set's preset), 0 for all.
        split: part of the data set (default: the protocol's).
        runs: folder of the run folders.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads; the images do not depend on it.
        data_root: folder of a data set that does not ship.
    """

    def __init__(
        self,
        dataset: str,
        task: str | None = None,
        *,
        limit: int | None = None,
        split: str | None = None,
        runs: str | Path = RUNS,
        device: str = "auto",
        threads: int | None = None,
        data_root: str | Path | None = None,
    ) -> None:
        for complaint in load_installed():
            warnings.warn(complaint, stacklevel=2)
        self._request = Request(
            method="pgd",
            dataset=dataset,
            task=task,
            split=split,
            limit=limit,
            device=device,
            data_root=None if data_root is None else Path(data_root),
        )
        self._runs = Path(runs)
        self._threads = threads
        # An unknown data set, task or split is told at once.
        config, self.images = resolve(self._request)
        self.limit = config.limit
        self.results: dict[str, Result] = {}

    def run(
        self,
        method: str | Callable[..., Tensor],
        *,
        name: str | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        **settings: Any,
    ) -> Result:
        """Run a method, or continue it, and measure it.

        Args:
            method: id of a method, "package.module:Name", "./file.py:Name", or a callable
                explain(images, target, *, classifier, seed) -> images.
            name: what tables call it (default: its id, or the callable's own name).
            seed, batch_size: see `vcebench run`.
            settings: of the method (tau=60), and weights of the loss (lambda_class=(8.0,)).

        Raises:
            UserError: one line that says what to change; the same call continues an interrupted
                run.
        """
        if isinstance(method, str):
            id = method
        else:
            id = name or str(getattr(method, "__name__", "mine"))
            register(id, method, of_callable(method))
        weights = {k: settings.pop(k) for k in list(settings) if k in GuidanceConfig.model_fields}
        request = dataclasses.replace(
            self._request,
            method=id,
            name=name if ":" in id else None,
            seed=seed,
            batch_size=batch_size,
            settings=settings,
            guidance=weights,
        )
        config, images = resolve(request)
        output = self._runs / config.folder_name()
        result = run_and_measure(config, images, output, self._threads, data_root=request.data_root)
        self.results[name or config.method] = result
        return result

    def add(self, path: str | Path, name: str | None = None) -> Result:
        """Take in a stored run of the same task, for instance an imported one."""
        config = RunFolder.existing(Path(path)).config()
        task = (self.images.name, self.images.task.name, self.images.split)
        if (config.dataset, config.task, config.split) != task:
            raise UserError(f"{path} is about {config.dataset} {config.task}, not {' '.join(task)}")
        (result,) = measure_again(Path(path), threads=self._threads)
        self.results[name or config.method] = result
        return result

    def table(
        self, metrics: Sequence[str] | None = None, *, intervals: bool = False
    ) -> pd.DataFrame:
        """Metrics × methods.

        Args:
            metrics: ids, see `vcebench list metrics`; "all" of them are `list(METRICS)`.
            intervals: show "value [low, high]" where there is a 95 % interval.
        """
        ids = [metric(id).id for id in metrics] if metrics is not None else list(SHOWN)
        evaluations = {name: result.evaluation for name, result in self.results.items()}
        if metrics is None:
            ids = [
                id
                for id in ids
                if any(e.values[id].value is not None for e in evaluations.values())
            ]
        rows = {
            _heading(id): {name: _cell(e, id, intervals) for name, e in evaluations.items()}
            for id in ids
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(evaluations))

    def show(self, count: int = 6, names: Sequence[str] | None = None) -> Image.Image:
        """Input, counterfactual of each method and, where it is known, the truth.

        Args:
            count: the first images that every run has.
            names: methods to show (default: all).

        Raises:
            UserError: nothing was run, or the runs have no image in common.
        """
        chosen = {name: self._result(name).folder for name in names or self.results}
        rows = {name: {row.id: row for row in f.rows()} for name, f in chosen.items()}
        if not rows:
            raise UserError("nothing was run yet; start with run(…)")
        first = next(iter(rows))
        shared = [id for id in rows[first] if all(id in other for other in rows.values())][:count]
        if not shared:
            raise UserError("the runs have no image in common")
        columns: dict[str, list[Tensor | None]] = {
            "input": [chosen[first].images("inputs", [rows[first][id]])[0] for id in shared]
        }
        for name, folder in chosen.items():
            columns[name] = [_made(folder, rows[name][id]) for id in shared]
        captions = [self._caption(rows[first][id]) for id in shared]
        if isinstance(self.images, HasTruth):
            pairs = [(rows[first][id].index, rows[first][id].target) for id in shared]
            columns["truth"] = [self.images.true_image(*pair) for pair in pairs]
        return grid(columns, captions)

    def _result(self, name: str) -> Result:
        if name not in self.results:
            raise UserError(f"{name} was not run; there is {', '.join(self.results) or 'nothing'}")
        return self.results[name]

    def _caption(self, row: Any) -> str:
        task = self.images.task
        names = dict(zip(task.classes, task.labels, strict=True))
        return f"{names.get(row.source, row.source)} → {names.get(row.target, row.target)}"

    def __repr__(self) -> str:
        done = ", ".join(self.results) or "nothing run yet"
        task = f"{self.images.name} {self.images.task.name}, {self.images.split}"
        return f"<Benchmark {task}, {self.limit} images: {done}>"

    def _repr_html_(self) -> str:
        html = self.table().to_html() if self.results else ""
        return f"<p>{self.images.name} · {self.images.task.name}, {self.limit} images</p>{html}"


def _made(folder: RunFolder, row: Any) -> Tensor | None:
    return folder.images("counterfactuals", [row])[0] if row.finite else None


def _heading(id: str) -> str:
    info = METRICS[id]
    return f"{info.title} {info.unit}".rstrip() + (" ↑" if info.better == "higher" else " ↓")


def _cell(evaluation: Evaluation, id: str, intervals: bool) -> float | str | None:
    value = evaluation.values[id]
    if not intervals or value.value is None or value.interval is None:
        return value.value
    low, high = value.interval
    return f"{value.value:.4g} [{low:.4g}, {high:.4g}]"
