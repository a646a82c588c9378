"""Settings of a method on an embedded task, tried on images of `val`: where its preset comes from.

    python -m vcebench.training.tune digits 3-8 ace-l1 --grid "iterations=20,30 step=8/255"
    python -m vcebench.training.tune synthfaces smile-plain dvce \\
        --grid "class_scale=0.2 distance_scale=0.1,0.2" --grid "class_scale=0.3 distance_scale=0.2"

Every setting explains the same first images with the same noise, in one try each, as `vcebench run`
would make and store them; the preset holds for what a grid does not name. What is measured lies in
a file, one line a setting, so that an interrupted call goes on and other grids add to it; a network
that has been exchanged since makes its lines count no longer.

The choice: among settings with which explained classifier and oracle both see the target in at most
two points fewer images than with the best, the one with the smallest ℓ1. Nothing is chosen where
no setting convinces the oracle. The images are few, so a choice is a setting that works, and says
little about methods; `test` is never looked at.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vcebench.data.base import HasTruth, ImageSet
from vcebench.errors import UserError, one_line, user_errors
from vcebench.folders.images import dequantise, write_atomic
from vcebench.formats import Table
from vcebench.metrics import causal
from vcebench.models.bundle import Bundle
from vcebench.models.loading import load_bundle
from vcebench.models.shipped import FILES
from vcebench.running.assemble import worker_of
from vcebench.running.runner import pending
from vcebench.running.tries import Item, Outcome, Try
from vcebench.settings.config import RunConfig, Setting
from vcebench.settings.request import Request, method_of, needs_of, resolve

WITHIN = 0.02
"""How far below the best share of convincing images a choice may lie."""


@dataclass(frozen=True)
class Trial:
    """What a setting does on the images; shares of all of them unless said otherwise.

    Attributes:
        settings: what the grid sets.
        images: how many there are.
        flipped, robust, oracle: share that the explained classifier, the data set's robust one and
            the oracle see as the target; None where there is no such network.
        convincing: share that the explained classifier and the oracle both see as the target.
        l1: mean absolute change on [0, 1].
        gt_precision: share of the edit within the true region, mean over correct and flipped
            images; None where the truth is not known or there is no such image.
        largest: largest absolute value of any step's estimate, where images are in [-1, 1].
        seconds: CPU seconds an image.
    """

    settings: dict[str, Setting]
    images: int
    flipped: float
    robust: float | None
    oracle: float | None
    convincing: float | None
    l1: float
    gt_precision: float | None
    largest: float
    seconds: float

    def row(self) -> dict[str, Any]:
        """A row for people."""
        values = asdict(self)
        named = " ".join(f"{name}={value:g}" for name, value in values.pop("settings").items())
        return {"settings": named or "as preset", **values}


def grid(texts: Sequence[str]) -> list[dict[str, Setting]]:
    """All settings of some grids, without repetition; those of the preset if there is no grid.

    >>> grid(["a=1,2 b=0.5", "a=3"])
    [{'a': 1, 'b': 0.5}, {'a': 2, 'b': 0.5}, {'a': 3}]

    Raises:
        UserError: a text is not of the form "name=value,value name=value".
    """
    found: list[dict[str, Setting]] = []
    for text in texts or ("",):
        axes = [_axis(word) for word in text.split()]
        for chosen in itertools.product(*(values for _, values in axes)):
            one = dict(zip((name for name, _ in axes), chosen, strict=True))
            found += [] if one in found else [one]
    return found


def _axis(word: str) -> tuple[str, list[Setting]]:
    name, equals, values = word.partition("=")
    try:
        if not name or not equals:
            raise ValueError
        return name.replace("-", "_"), [_value(value) for value in values.split(",")]
    except (ValueError, ZeroDivisionError):
        raise UserError(f"{word!r} is no axis of a grid; write name=value,value") from None


def _value(text: str) -> Setting:
    """A number, also as a fraction; else true, false or a word in JSON."""
    try:
        return int(text) if text.lstrip("-").isdigit() else float(Fraction(text))
    except ValueError:
        value: Setting = json.loads(text)
        return value


def choose(trials: Sequence[Trial]) -> Trial | None:
    """The trial that the rule at the top of this file chooses, None if none convinces."""
    best = max((trial.convincing or 0.0 for trial in trials), default=0.0)
    if best == 0:
        return None
    enough = [t for t in trials if (t.convincing or 0.0) >= best - WITHIN - 1e-9]
    return min(enough, key=lambda trial: trial.l1)


@dataclass(frozen=True)
class Bench:
    """The networks and images that all settings of a method are tried on."""

    config: RunConfig
    data: ImageSet
    items: Sequence[Item]
    bundle: Bundle

    def key(self, config: RunConfig) -> str:
        """What a trial depends on: the configuration and the networks."""
        hashes = ",".join(f"{role}:{sha[:16]}" for role, sha in sorted(self.bundle.hashes.items()))
        return f"{config.digest()}@{hashes}"


def open_bench(dataset: str, task: str, method: str, images: int) -> Bench:
    """The first images of `val` and all networks of an embedded task."""
    if dataset not in FILES:
        raise UserError(f"{dataset} has no networks that ship; use {', '.join(FILES)}")
    config, data = _configured(dataset, task, method, images, {})
    config = config.model_copy(update={"trace": config.limit})
    needs = needs_of(method, config.guidance.lambda_perceptual)
    judged = {"robust"} if task in FILES[dataset].robust else set()
    with user_errors():
        bundle = load_bundle(dataset, task, needs=needs | judged)
    return Bench(config, data, list(pending(config, data, ())), bundle)


def _configured(
    dataset: str, task: str, method: str, images: int, settings: dict[str, Setting]
) -> tuple[RunConfig, ImageSet]:
    request = Request(
        method=method,
        dataset=dataset,
        task=task,
        split="val",
        limit=images,
        device="cpu",
        settings=settings,
    )
    config, data = resolve(request)
    return config.model_copy(update={"batch_size": min(config.batch_size, images)}), data


def attempt(bench: Bench, config: RunConfig, settings: dict[str, Setting]) -> Trial:
    """Explain the images with a setting and look at what would be stored."""
    worker = worker_of(config, bench.bundle)
    rung = method_of(config).rungs(config.guidance.lambda_class)[0]
    tries = [Try(item, 0, rung, last=False) for item in bench.items]
    outcomes: list[Outcome] = []
    begun = time.process_time()
    for first in range(0, len(tries), config.batch_size):
        outcomes += worker.explain(tries[first : first + config.batch_size])
    seconds = (time.process_time() - begun) / len(tries)
    return Trial(settings, len(tries), seconds=seconds, **_measured(bench, outcomes))


@torch.no_grad()
def _measured(bench: Bench, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    before = torch.stack([item.image for item in bench.items])
    after = torch.stack([outcome.image for outcome in outcomes])
    target = torch.tensor([outcome.target for outcome in outcomes])
    source = torch.tensor([outcome.source for outcome in outcomes])
    flipped = torch.tensor([outcome.flipped for outcome in outcomes])
    x, x_cf = dequantise(before), dequantise(after)
    judge, robust = bench.bundle.judge, bench.bundle.robust
    seen = None if judge is None else judge.predict(x_cf) == target
    shared = None if robust is None else robust.margin(x_cf, target, source) > 0
    return {
        "flipped": _share(flipped),
        "robust": None if shared is None else _share(shared),
        "oracle": None if seen is None else _share(seen),
        "convincing": None if seen is None else _share(seen & flipped),
        "l1": float((x_cf - x).abs().mean()) / 2,
        "gt_precision": _precision(bench, outcomes),
        "largest": max(float(outcome.trace["x_t"].abs().max()) for outcome in outcomes),
    }


def _share(which: torch.Tensor) -> float:
    return float(which.float().mean())


def _precision(bench: Bench, outcomes: Sequence[Outcome]) -> float | None:
    """`gt_precision` over correct and flipped images."""
    if not isinstance(bench.data, HasTruth):
        return None
    found = []
    for item, outcome in zip(bench.items, outcomes, strict=True):
        if outcome.flipped and outcome.prediction == item.label:
            region = bench.data.truth(item.index, outcome.target).region[None]
            found += list(causal.gt_precision(item.image[None], outcome.image[None], region))
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def tune(
    dataset: str,
    task: str,
    method: str,
    settings: Sequence[dict[str, Setting]],
    images: int,
    kept: Path,
) -> list[Trial]:
    """Try settings that have not been tried, and return all that were asked for.

    Args:
        dataset, task, method: names.
        settings: what to try, over the preset.
        images: the first so many of `val`.
        kept: file of what is measured, in JSON lines.

    Raises:
        UserError: an unknown name or setting; said before anything is tried.
    """
    configs = [_configured(dataset, task, method, images, one)[0] for one in settings]
    bench = open_bench(dataset, task, method, images)
    lines = _read(kept)
    trials = []
    for number, (config, one) in enumerate(zip(configs, settings, strict=True), start=1):
        key = bench.key(config)
        if key not in lines:
            place = f"{dataset} {task} {method}, {number} of {len(configs)}"
            print(f"{place}: {one or 'as preset'}", file=sys.stderr, flush=True)
            what = {"dataset": dataset, "task": task, "method": method}
            lines[key] = {"key": key, **what, **asdict(attempt(bench, config, one))}
            text = "".join(json.dumps(line) + "\n" for line in lines.values())
            write_atomic(kept, text.encode())
        names = {field.name for field in fields(Trial)}
        known = {name: value for name, value in lines[key].items() if name in names}
        trials.append(Trial(**{**known, "settings": one}))
    return trials


def _read(kept: Path) -> dict[str, dict[str, Any]]:
    """Key → line of what is measured already."""
    try:
        lines = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
        return {line["key"]: line for line in lines}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{kept} is no file of trials; give another with --output") from None


def main(words: Sequence[str] | None = None) -> int:
    """Parse, try, print the table on stdout; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("task")
    parser.add_argument("method")
    parser.add_argument(
        "--grid", action="append", default=[], help='"name=value,value name=value", repeatable'
    )
    parser.add_argument("--images", type=int, default=16, help="the first so many of val")
    parser.add_argument(
        "--output", type=Path, default=Path("tuning.jsonl"), help="file of what is measured"
    )
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    try:
        trials = tune(
            asked.dataset, asked.task, asked.method, grid(asked.grid), asked.images, asked.output
        )
    except UserError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    chosen = choose(trials)
    rows = [{**trial.row(), "chosen": "←" if trial is chosen else ""} for trial in trials]
    print(Table(rows).render("github"))
    if chosen is None:
        print("no setting convinces the oracle: nothing is chosen", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
