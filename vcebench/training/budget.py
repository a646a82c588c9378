"""How many steps of a training fit into a time on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from vcebench.folders.images import write_atomic
from vcebench.training.loop import LoopSettings, fit
from vcebench.training.parts import Part

WARM, TIMED = 2, 4
"""Steps before the clock starts, and steps that are timed."""

FEWEST = 50
SPARE = 0.85
"""Share of the time that steps may take; checkpoints with their pictures, and what is measured at
the end (256 images that are denoised take as long as about 300 steps), take the rest."""


def steps_within(seconds: float, part: Part, place: Path, restart: bool = False) -> int:
    """Steps of a part's training that take so many seconds; once found, they stay.

    An interrupted training continues with the number that it was begun with, whatever else the
    machine does now.

    Args:
        part: the part; its own number of steps does not matter.
        place: file that keeps the number.
        restart: find it anew.
    """
    recipe = {key: value for key, value in part.recipe().items() if key != "settings"}
    about = json.loads(json.dumps({"seconds": seconds, "recipe": recipe}))
    if place.is_file() and not restart:
        try:
            kept = json.loads(place.read_bytes())
        except ValueError:
            kept = {}
        if isinstance(kept, dict) and kept.get("about") == about:
            return int(kept["steps"])
    steps = _whole(SPARE * seconds / seconds_a_step(part))
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(place, json.dumps({"about": about, "steps": steps}).encode())
    return steps


def seconds_a_step(part: Part) -> float:
    """Seconds of a step on this machine, from a few of them on a network that is thrown away."""
    module, loss, ended = part.initial()[1], part.loss(), []

    def timed(network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        ended.append(time.monotonic())
        return loss(network, generator)

    settings = LoopSettings(steps=WARM + TIMED + 1, seed=part.settings.seed, save_every=10**9)
    fit(part.name, module, timed, settings, None, progress=False, device=part.device)
    return (ended[-1] - ended[WARM]) / TIMED


def _whole(steps: float) -> int:
    """A number of steps with two digits that say something, at least `FEWEST`.

    >>> _whole(1234.5), _whole(7.0)
    (1200, 50)
    """
    unit: int = 10 ** max(0, len(str(int(steps))) - 2)
    return max(FEWEST, int(steps) // unit * unit)
