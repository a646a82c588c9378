"""Counterfactual generators: methods, masks, guidance and the loops they run through."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vcebench.methods.core.bridge import Bridge, BridgePrior
    from vcebench.methods.core.method import Method
    from vcebench.methods.core.prior import ByClass, ConditionalPrior, Prior
    from vcebench.methods.core.sampler import Guided
    from vcebench.methods.core.schedule import Schedule, linear_schedule, scaled_linear_schedule
    from vcebench.methods.core.space import Latents
    from vcebench.methods.registry import method

_HOMES = {
    "Bridge": "core.bridge",
    "BridgePrior": "core.bridge",
    "ByClass": "core.prior",
    "ConditionalPrior": "core.prior",
    "Guided": "core.sampler",
    "Latents": "core.space",
    "Method": "core.method",
    "Prior": "core.prior",
    "Schedule": "core.schedule",
    "linear_schedule": "core.schedule",
    "method": "registry",
    "scaled_linear_schedule": "core.schedule",
}

__all__ = [
    "Bridge",
    "BridgePrior",
    "ByClass",
    "ConditionalPrior",
    "Guided",
    "Latents",
    "Method",
    "Prior",
    "Schedule",
    "linear_schedule",
    "method",
    "scaled_linear_schedule",
]


def __getattr__(name: str) -> object:
    """What users name is imported when it is asked for: importing the package loads no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
