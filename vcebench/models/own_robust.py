"""The robust classifier of somebody's own task, which guides and never judges."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vcebench.errors import UserError
from vcebench.models.classifier import TargetClassifier
from vcebench.models.own_classifier import LoadedClassifier, explained, load_classifier
from vcebench.settings.custom import CustomTask
from vcebench.weights.shipped import read_card


@dataclass(frozen=True, eq=False)
class LoadedRobust:
    """A robust classifier: how it was loaded, and what methods ask."""

    loaded: LoadedClassifier
    classifier: TargetClassifier


def load_robust(task: CustomTask, device: torch.device | str) -> LoadedRobust:
    """The robust classifier that a task's file describes.

    Raises UserError: there is none, it cannot be loaded, or it does not fit images and classes.
    """
    part = task.robust
    if part is None:
        raise UserError(
            "the method needs a robust classifier: add [robust], which `vcebench train robust "
            "--config FILE.toml` makes, or use a method without one, such as dvce-no-cone"
        )
    if part.trained is not None and "epsilon" not in read_card(part.trained):
        raise UserError(f"{part.trained} is no robust classifier: its card has no radius")
    loaded = load_classifier(part)
    loaded.network.to(device)
    try:
        found = explained(loaded.network, task, part, device).classifier
    except UserError as error:
        raise UserError(f"[robust]: {error}") from error
    return LoadedRobust(loaded, found)
