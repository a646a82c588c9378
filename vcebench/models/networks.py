"""Networks that somebody else owns: sound ones, where they live, and leaving them as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from vcebench.errors import UserError


def check_finite(network: nn.Module, role: str) -> None:
    """Refuse a network with NaN or infinite weights."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UserError(f"the {role} has NaN or infinity in {name}; load a sound checkpoint")


def common_device(roles: Mapping[str, nn.Module]) -> torch.device:
    """The one device all networks live on."""
    devices = {
        role: next(module.parameters()).device
        for role, module in roles.items()
        if next(module.parameters(), None) is not None
    }
    if len(set(devices.values())) > 1:
        places = ", ".join(f"{role} on {device}" for role, device in devices.items())
        raise UserError(f"the networks live on different devices ({places}); move them together")
    return next(iter(devices.values()), torch.device("cpu"))


@contextmanager
def evaluation_mode(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Networks in evaluation mode, each part as it was afterwards.

    In training mode batch norm would mix the images of a batch, and change the network.
    """
    parts = [part for module in modules for part in module.modules()]
    before = [part.training for part in parts]
    try:
        for part in parts:
            part.training = False
        yield
    finally:
        for part, training in zip(parts, before, strict=True):
            part.training = training
