"""What was asked of the networks of an embedded set and not reached, as their model card says."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vcebench.methods.registry import METHODS
from vcebench.models.shipped import ASSETS, FILES
from vcebench.weights.shipped import read_card

_SECTION = re.compile(r"^## `(\w+)\.safetensors`.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_MISSED = re.compile(r"([\w ]+) (at least|at most) ([\d.]+): \*\*not reached\*\*")


def missed(dataset: str) -> dict[str, list[str]]:
    """Name of a shipped network → its figures that miss a bound, each with the bound.

    Sets that ship no networks have none.
    """
    path = ASSETS / dataset / "MODEL_CARD.md"
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {}
    for section in _SECTION.finditer(card):
        bounds = _MISSED.findall(section[0])
        if bounds:
            found[section[1]] = [_said(dataset, section[1], *bound) for bound in bounds]
    return found


def _said(dataset: str, network: str, name: str, which: str, bound: str) -> str:
    measured = read_card(ASSETS / dataset / f"{network}.safetensors")["measured"]
    figures = {key.replace("_", " "): value for key, value in measured.items()}
    return f"{name.strip()} {figures[name.strip()]:.3g} ({which} {bound})"


def remarks(dataset: str, methods: Iterable[str]) -> list[str]:
    """A line for every network that misses a bound and that some of these methods work with."""
    there = [method for method in dict.fromkeys(methods) if method in METHODS]
    lines = []
    for network, figures in missed(dataset).items():
        role = "bridge" if network == FILES[dataset].bridge else network
        users = [method for method in there if role in METHODS[method].factory.needs]
        if users:
            ids = ", ".join(f"`{method}`" for method in users)
            lines.append(
                f"{ids}: the {role} network of {dataset} is below what was asked of it: "
                f"{', '.join(figures)}."
            )
    return lines
