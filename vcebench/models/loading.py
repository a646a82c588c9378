"""Loading the networks of a registered task: shipped ones, or published ones from a folder."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import torch

from vcebench.data.registry import dataset_entry
from vcebench.methods.core.method import Method
from vcebench.models.bundle import Bundle
from vcebench.models.outside import load_outside_bundle
from vcebench.models.real_bundle import load_real_bundle
from vcebench.models.shipped import FILES, check_classifier, load_shipped_bundle
from vcebench.settings.prompts import Prompts


def load_bundle(
    dataset: str,
    task: str | None = None,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    needs: Set[str] = Method.needs,
    metrics: bool = True,
    classifier: str = "task",
    required: bool = True,
    prompts: Prompts | None = None,
) -> Bundle:
    """Load the networks of a task; nothing is cached.

    Args:
        dataset, task: names; the default task if none is given.
        device: where the networks shall live.
        folder: network files to use instead of the shipped ones; for the real data sets the
            weights folder (default: see `vcebench.weights.store.weights_root`).
        needs: roles that a method asks for besides the classifier (`Method.needs`).
        metrics: also load what only metrics use, as far as it is there.
        classifier: the task's own, or one of `vcebench.models.shipped.IGNORANT`.
        required: the classifier has to be there; else the bundle may do without, and says why.
        prompts: what a latent network is told of the task's classes, in place of the usual words.

    Raises:
        NetworkFileError: a file is missing or damaged, or the task has no network of a role that is
            needed; the message says what to do.
        UnknownNameError: no such data set or task. Both are ValueErrors.
    """
    entry = dataset_entry(dataset)
    chosen = entry.task(task)
    if entry.networks is not None:
        return load_outside_bundle(entry, chosen, device, needs)
    check_classifier(dataset, chosen.name, classifier)
    if dataset in FILES:
        return load_shipped_bundle(
            dataset, chosen, device, folder, needs, metrics, classifier, prompts
        )
    return load_real_bundle(dataset, chosen, device, folder, needs, metrics, required, prompts)
