"""Does a run's own configuration make the same again? A second run of a sample, and a verdict."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from vcebench.data.registry import open_dataset
from vcebench.errors import UserError, user_errors
from vcebench.evaluating.evaluation import evaluate
from vcebench.folders import inside
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import writing
from vcebench.formats import dump
from vcebench.methods.registry import METHODS
from vcebench.metrics.bootstrap import mean_interval
from vcebench.running import cost
from vcebench.running.assemble import networks_of
from vcebench.running.runner import run
from vcebench.running.stored import check_classifier

REMAKE = "remake.json"
SAMPLE = 8
State = Literal["OK", "OKish", "FAIL"]
_ORDER: tuple[State, ...] = ("OK", "OKish", "FAIL")


@dataclass(frozen=True)
class Compared:
    """One metric of both runs on the sample.

    Attributes:
        id: of the metric.
        stored, remade: means over the images both runs have a value of.
        low, high: 95 % interval of the stored mean, over these images.
        n: number of these images.
        state: "OK" within the interval, "OKish" within twice its width, else "FAIL".
    """

    id: str
    stored: float
    remade: float
    low: float
    high: float
    n: int
    state: State


@dataclass(frozen=True)
class Remake:
    """The verdict on a run: the worst of its metrics; equal pixels are OK whatever they measure."""

    state: State
    images: int
    same_pixels: int
    metrics: tuple[Compared, ...]
    config_hash: str
    date: str
    versions: dict[str, Any]


def remake(
    folder: RunFolder,
    images: int = SAMPLE,
    threads: int | None = None,
    data_root: Path | None = None,
) -> Remake:
    """Run the first images of a run again with its own configuration, and compare.

    The verdict is written into the folder.

    Args:
        folder: the run.
        images: size of the sample.
        threads: batches at a time on a CPU.
        data_root: folder of a data set that does not ship with the package; the one that the run's
            manifest names is never opened.

    Raises:
        UserError: the run was made elsewhere or is of an own task, so that its folder does not say
            how to make it; it was not evaluated, or explains another classifier than the one here.
    """
    config = folder.config()
    if config.origin is not None or config.custom is not None or config.method not in METHODS:
        raise UserError(
            f"{folder.path} was made by code that is not part of this package; only who has it can "
            "make the run again"
        )
    stored = folder.per_image()
    if not stored:
        raise UserError(f"{folder.path} has no metrics; run vcebench evaluate {folder.path} first")
    rows = folder.rows()[:images]
    sample = config.model_copy(
        update={"limit": max(row.index for row in rows) + 1, "trace": 0, "shard": None}
    )
    with user_errors():
        source = open_dataset(config.dataset, config.task, config.split, data_root)
    bundle = networks_of(sample)
    check_classifier(folder, bundle)
    with tempfile.TemporaryDirectory(prefix="vcebench-") as place:
        again = run(sample, source, Path(place) / "run", bundle, threads, data_root=data_root)
        made = {row.id: row for row in again.rows()}
        both = [row for row in rows if row.finite and row.id in made and made[row.id].finite]
        same = sum(
            torch.equal(*(f.images("counterfactuals", [row])[0] for f in (folder, again)))
            for row in both
        )
        values = evaluate(again, bundle, threads=threads).per_image
    metrics = tuple(_compared(stored, values, [row.id for row in both]))
    exact = same == len(rows)
    states: list[State] = [metric.state for metric in metrics] or ["FAIL"]
    found = Remake(
        state="OK" if exact else max(states, key=_ORDER.index),
        images=len(rows),
        same_pixels=same,
        metrics=metrics,
        config_hash=config.digest(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=cost.versions(),
    )
    with writing(folder.path):
        inside.write_lasting(folder.path, REMAKE, (dump(asdict(found)) + "\n").encode())
    return found


def _compared(
    stored: dict[str, dict[str, float]], remade: dict[str, dict[str, float]], ids: list[str]
) -> list[Compared]:
    found = []
    for id, column in remade.items():
        shared = [i for i in ids if i in column and id in stored.get(i, {})]
        if not shared:
            continue
        before = np.array([stored[i][id] for i in shared])
        after = float(np.mean([column[i] for i in shared]))
        low, high = mean_interval(before) or (float(before.mean()), float(before.mean()))
        state = _state(float(before.mean()), after, low, high)
        found.append(
            Compared(id, float(before.mean()), after, float(low), float(high), len(shared), state)
        )
    return found


def _state(stored: float, remade: float, low: float, high: float) -> State:
    """Within the interval, within twice its width, or beyond."""
    slack = 1e-6 * max(1.0, abs(stored))
    if low - slack <= remade <= high + slack:
        return "OK"
    width = high - low
    return "OKish" if low - width / 2 <= remade <= high + width / 2 else "FAIL"


def verdict_of(folder: RunFolder) -> Remake | None:
    """The verdict in a run folder; None if there is none, or it is about another configuration.

    Raises `UserError` if the file cannot be read.
    """
    path = folder.path / REMAKE
    try:
        content = json.loads(inside.read(folder.path, REMAKE))
        content["metrics"] = tuple(Compared(**record) for record in content["metrics"])
        found = Remake(**content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path} cannot be read; make it anew: vcebench remake") from error
    return found if found.config_hash == folder.config().digest() else None
