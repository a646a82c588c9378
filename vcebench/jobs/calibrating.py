"""The guidance unit of somebody's own classifier, found as those of the embedded sets were.

Classifiers differ in how steep their logits are, and methods in what they make of a gradient, so
one strength does not fit all. The unit is a factor inside L_class: the smallest of a grid at which
a method flips most of a sample of images at its first try.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from vcebench.data.base import ImageSet
from vcebench.data.files import BadImageError
from vcebench.data.spread import spread
from vcebench.errors import UserError
from vcebench.methods.registry import METHODS
from vcebench.methods.registry import method as method_by_name
from vcebench.running.assemble import networks_of, worker_of
from vcebench.running.precision import precision_flags
from vcebench.running.probe import probe
from vcebench.running.tries import Item, Try
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig
from vcebench.settings.custom import stored_custom
from vcebench.showing.grids import grid

IMAGES = 16
WANTED = 0.9
"""Share of the images that has to flip."""

COARSE, FINE = 4.0, 2.0
"""Steps of the grid, and of its refinement."""

LOWEST, HIGHEST = COARSE**-6, COARSE**6

SECONDS, TRIALS, FEWEST = 120.0, 6, 2
"""Time that a search takes, the units that it usually tries, and images that it takes if it can."""

_SHOWN = 6


@dataclass(frozen=True)
class Trial:
    """What a unit does.

    Attributes:
        unit: factor inside L_class.
        flipped: share of the images that flipped at the first try.
        change: mean absolute change on [0, 1].
        images: the counterfactuals, uint8 (3, H, W).
    """

    unit: float
    flipped: float
    change: float
    images: Sequence[Tensor] = ()


@dataclass(frozen=True)
class Calibration:
    """A method's unit, and all that was tried, by unit.

    Attributes:
        preset: id that the unit holds for, see `vcebench.methods.core.entry.Entry.preset`.
        chosen: the trial whose unit it is.
        trials: all of them.
        inputs: the images, uint8 (3, H, W).
        reconstructions: the same noised to τ and denoised without guidance; None where the method
            does no such thing.
        kept: share of those that the classifier calls as it calls the image.
    """

    preset: str
    chosen: Trial
    trials: Sequence[Trial]
    inputs: Sequence[Tensor]
    reconstructions: Sequence[Tensor] | None = None
    kept: float | None = None

    def row(self) -> dict[str, Any]:
        """A row for a table."""
        return {
            "method": self.preset,
            "unit": self.chosen.unit,
            "flipped %": round(100 * self.chosen.flipped, 1),
            "change": self.chosen.change,
            "images": len(self.inputs),
            "units tried": len(self.trials),
            "reconstructions keep %": None if self.kept is None else round(100 * self.kept, 1),
        }

    def sheet(self) -> Image.Image:
        """Inputs, reconstructions and what every unit makes of them."""
        shown = spread(len(self.inputs), _SHOWN)
        made = {"input": self.inputs}
        if self.reconstructions is not None:
            made["no guidance"] = self.reconstructions
        for trial in self.trials:
            mark = "→ " if trial.unit == self.chosen.unit else ""
            made[f"{mark}{trial.unit:g}: {trial.flipped:.0%}"] = trial.images
        columns = {name: [images[k] for k in shown] for name, images in made.items()}
        return grid(columns, [self.preset] * len(shown))


class TimeOverError(Exception):
    """There is no time for another trial."""


def search(
    attempt: Callable[[float], Trial], wanted: float = WANTED
) -> tuple[list[Trial], float | None]:
    """Trials around the smallest unit that flips enough, by unit; that unit is among them.

    From 1 the unit falls or grows by `COARSE` until the share of flips crosses what is wanted, and
    the last step is halved once. Once `attempt` raises `TimeOverError`, what was tried has to do.

    Returns: the trials, and the unit that there was no time for, if there was one.

    Raises UserError: no unit flips enough.
    """
    trials, unit = [attempt(1.0)], 1.0
    down = trials[0].flipped >= wanted
    try:
        while (trials[-1].flipped >= wanted) == down:
            unit = trials[-1].unit * (1 / COARSE if down else COARSE)
            if unit > HIGHEST:
                raise _none_flips(trials, wanted, "try more steps (tau), or another method")
            if unit < LOWEST:
                break
            trials.append(attempt(unit))
        if len(trials) > 1:
            unit = min(trials[-1].unit, trials[-2].unit) * FINE
            trials.append(attempt(unit))
    except TimeOverError:
        if not any(trial.flipped >= wanted for trial in trials):
            raise _none_flips(trials, wanted, "give it more time with --budget") from None
        return sorted(trials, key=lambda trial: trial.unit), unit
    return sorted(trials, key=lambda trial: trial.unit), None


def _none_flips(trials: Sequence[Trial], wanted: float, advice: str) -> UserError:
    most = max(trials, key=lambda trial: trial.flipped)
    highest = max(trial.unit for trial in trials)
    return UserError(
        f"no unit up to {highest:g} flips {wanted:.0%} of the images, at most {most.flipped:.0%} "
        f"flip (at {most.unit:g}): {advice}"
    )


def calibrate(
    config: RunConfig,
    images: ImageSet,
    count: int = IMAGES,
    tell: Callable[[str], None] = lambda line: None,
    seconds: float = SECONDS,
) -> Calibration:
    """Find the unit of a method for somebody's own classifier; nothing is written.

    Where a walk without guidance shows that all would take longer, fewer images are used; where
    time is over nevertheless, the search ends with what it knows, and says so.

    Args:
        config: of a run of the task with that method.
        images: the task's; evenly spread ones are used, those that cannot be read left out.
        count: how many of them.
        tell: told of every trial.
        seconds: how long it may take; only the first unit is tried whatever it takes.

    Raises:
        UserError: the method knows no unit, no unit flips enough, or a network does not fit.
    """
    entry = METHODS[config.method]
    if "lambda_class" not in entry.factory.weights:
        raise UserError(f"{config.method} reads no unit; its own settings say how strong it guides")
    items = _items(config, images, count)
    config = config.model_copy(update={"batch_size": min(config.batch_size, len(items))})
    worker = worker_of(config, networks_of(config, metrics=False))
    rung = worker.method.rungs(config.guidance.lambda_class)[0]

    started, took = time.monotonic(), 0.0

    def attempt(unit: float) -> Trial:
        nonlocal took
        begun = time.monotonic()
        if begun + took > started + seconds:
            raise TimeOverError
        found = tried(replace(worker, class_unit=unit), items, rung, unit)
        took = max(took, time.monotonic() - begun)
        tell(f"{config.method}, unit {unit:g}: {found.flipped:.0%} of {len(items)} images flip")
        return found

    with precision_flags(config.precision):
        probe(worker, [item.image for item in items[: config.batch_size]])
        begun = time.monotonic()
        plain, shown = _unguided(worker, items), None
        if plain is not None:
            tell(f"without guidance: {plain.flipped:.0%} of {len(items)} images flip")
            walks = worker.method.evaluations()[0] / _tau(worker)
            whole = TRIALS * walks * (time.monotonic() - begun)
            left = seconds - (time.monotonic() - started)
            kept = spread(len(items), affordable(len(items), whole, left))
            if len(kept) < len(items):
                tell(f"all would take about {whole / 60:.0f} minutes: {len(kept)} images are used")
            items = [items[k] for k in kept]
            shown = [plain.images[k] for k in kept]
            worker = replace(worker, batch_size=min(worker.batch_size, len(items)))
        trials, untried = search(attempt)
    chosen = next(trial for trial in trials if trial.flipped >= WANTED)
    if untried is not None:
        tell(
            f"time is over before {untried:g} was tried: {chosen.unit:g} flips enough, and a "
            f"smaller unit might; --budget {math.ceil(seconds / 30)}m has time for more"
        )
    return Calibration(
        preset=entry.preset or config.method,
        chosen=chosen,
        trials=trials,
        inputs=[item.image for item in items],
        reconstructions=shown,
        kept=None if plain is None else 1 - plain.flipped,
    )


def affordable(count: int, whole: float, seconds: float) -> int:
    """How many of `count` images fit into a time if all units on all of them take `whole`.

    At least `FEWEST`, or a single one where not even half of the usual units fit for these.

    >>> affordable(16, 60.0, 120.0), affordable(16, 240.0, 120.0), affordable(16, 1600.0, 120.0)
    (16, 8, 2)
    >>> affordable(16, 9000.0, 120.0)
    1
    """
    fitting = int(count * min(1.0, seconds / whole))
    if fitting < FEWEST:
        return min(count, FEWEST) if FEWEST * whole / count / 2 <= seconds else 1
    return fitting


def tried(worker: Worker, items: Sequence[Item], rung: Mapping[str, Any], unit: float) -> Trial:
    """One try of every item."""
    outcomes = []
    for start in range(0, len(items), worker.batch_size):
        chunk = items[start : start + worker.batch_size]
        outcomes += worker.explain([Try(item, 0, rung, last=True) for item in chunk])
    change = [
        (outcome.image.float() - item.image.float()).abs().mean() / 255
        for outcome, item in zip(outcomes, items, strict=True)
    ]
    return Trial(
        unit,
        sum(outcome.flipped for outcome in outcomes) / len(items),
        float(torch.stack(change).mean()),
        [outcome.image for outcome in outcomes],
    )


def _unguided(worker: Worker, items: Sequence[Item]) -> Trial | None:
    """The walk of a method without guidance; None if it walks on no diffusion prior."""
    tau = _tau(worker)
    if "prior" not in worker.method.needs or tau == 0:
        return None
    plain = replace(worker, method=method_by_name("dime-unconditional", tau=tau))
    return tried(plain, items, {"lambda_class": 1.0}, 0.0)


def _tau(worker: Worker) -> int:
    """The τ of a method; 0 where it has none."""
    tau = worker.method.settings().get("tau")
    return tau if isinstance(tau, int) else 0


def _items(config: RunConfig, images: ImageSet, count: int) -> list[Item]:
    """Images spread over the set, without those that are of the class asked for."""
    asked = stored_custom(config.custom or {}).target_class(images.task.labels)
    items: list[Item] = []
    for index in spread(len(images), count):
        try:
            example = images[index]
        except BadImageError:
            continue
        if asked is None or example.label != asked:
            items.append(Item(example.id, index, example.image, example.label, target=asked))
    if not items:
        raise UserError("there is no image to calibrate with; see vcebench check --config FILE")
    return items
