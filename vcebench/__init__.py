"""Benchmark and evaluation suite for visual counterfactual explanations."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vcebench.version import __version__ as __version__

if TYPE_CHECKING:
    from vcebench.api import explain as explain
    from vcebench.errors import UserError as UserError
    from vcebench.jobs.benchmark import Benchmark as Benchmark
    from vcebench.showing.explanations import Explanations as Explanations

_LAZY = {
    "explain": "vcebench.api",
    "Explanations": "vcebench.showing.explanations",
    "Benchmark": "vcebench.jobs.benchmark",
    "UserError": "vcebench.errors",
}


def __getattr__(name: str) -> Any:
    # Importing the package must not import PyTorch: the command line's help would wait for it.
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
