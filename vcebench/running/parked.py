"""What a run on a GPU does not use waits in host memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from vcebench.models.bundle import Bundle
from vcebench.running.precision import HALF
from vcebench.settings.config import Precision

MEASURING = ("representation", "oracle", "judge", "identity", "semantic", "lpips")
"""Roles that only metrics ask."""


@contextmanager
def parked(bundle: Bundle, precision: Precision) -> Iterator[None]:
    """Keep the idle networks of a bundle off its GPU meanwhile; nothing to do on a CPU."""
    device = bundle.device
    if device.type == "cpu":
        yield
        return
    networks = idle(bundle, precision)
    for network in networks:
        network.to("cpu")
    torch.cuda.empty_cache()
    try:
        yield
    finally:
        for network in networks:
            network.to(device)


def idle(bundle: Bundle, precision: Precision) -> list[nn.Module]:
    """Networks that make no image: those of metrics, and a prior that a reduced tier has a twin of.

    Not those that share weights with networks that do.
    """
    working = [bundle.classifier, bundle.perceptual, bundle.robust]
    waiting = [getattr(bundle, role) for role in MEASURING]
    (waiting if precision in HALF else working).append(bundle.prior)
    used = {id(tensor) for network in working if network is not None for tensor in _all(network)}
    found = (network for network in waiting if network is not None)
    return [n for n in found if not any(id(tensor) in used for tensor in _all(n))]


def _all(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]
