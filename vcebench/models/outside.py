"""The networks of a data set from outside the package, as its plug-in makes them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import torch
from torch import nn

from vcebench.data.base import Task
from vcebench.data.registry import DatasetEntry
from vcebench.errors import UserError, one_line
from vcebench.models.bundle import Bundle
from vcebench.models.own_classifier import state_digest
from vcebench.settings.installed import dataset_origin
from vcebench.weights.shipped import NetworkFileError

_ROLES = ("prior", "perceptual", "robust", "representation", "oracle", "judge", "identity")
_MEASURING = ("representation", "oracle", "identity")


def load_outside_bundle(
    entry: DatasetEntry, task: Task, device: torch.device | str, needs: Set[str]
) -> Bundle:
    """The networks of a task; see `vcebench.models.loading.load_bundle`.

    Raises:
        UserError: the plug-in fails, or returns something else.
        NetworkFileError: it has no network of a role that is needed.
    """
    assert entry.networks is not None
    try:
        made = entry.networks(task)
    except Exception as error:  # it is somebody's own code: anything can happen in it
        raise UserError(
            f"the networks of {entry.name} cannot be made: {type(error).__name__}: "
            f"{one_line(error)}"
        ) from error
    if not isinstance(made, Bundle) or made.classifier is None:
        raise UserError(
            f"the networks of {entry.name} are a {type(made).__name__}; return a Bundle with a "
            "classifier"
        )
    networks = {"classifier": made.classifier, **_others(made)}
    for role in sorted(needs - networks.keys()):
        hint = "; go without: --lambda-perceptual 0" if role == "perceptual" else ""
        raise NetworkFileError(f"{entry.name} has no {role} network{hint}")
    for network in networks.values():
        network.to(device).eval().requires_grad_(False)
    origin = dataset_origin(entry.name)
    return replace(
        made,
        hashes={role: state_digest(network) for role, network in networks.items()},
        backbones={role: f"{entry.name} {role}" for role in networks} | made.backbones,
        missing={
            role: f"{entry.name} has no {role} network"
            for role in _MEASURING
            if role not in networks
        }
        | made.missing,
        codes={} if origin is None else {"classifier": origin.sha256},
    )


def _others(made: Bundle) -> dict[str, nn.Module]:
    found = {role: getattr(made, role) for role in _ROLES}
    return {role: network for role, network in found.items() if network is not None}
