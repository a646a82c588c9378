"""One measured figure with its target, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        part: letter of the part.
        what: what was measured, in words.
        value: the figure as text; a dash if it could not be measured.
        target: what it has to reach, "" if there is no target.
        met: whether it does; None without a target or a value.
        note: what stands behind it: seconds, n, the reason of a skip.
    """

    part: str
    what: str
    value: str
    target: str = ""
    met: bool | None = None
    note: str = ""


def ratio(
    part: str,
    what: str,
    value: float,
    at_most: float | None = None,
    at_least: float | None = None,
    note: str = "",
) -> Figure:
    """A ratio, judged by an upper or a lower target."""
    target, met = "", None
    if at_most is not None:
        target, met = f"≤ {at_most:g}", value <= at_most
    if at_least is not None:
        target, met = f"≥ {at_least:g}", value >= at_least
    return Figure(part, what, f"{value:.3f}", target, met, note)


def skipped(part: str, what: str, reason: str) -> Figure:
    """A figure that could not be measured, and why."""
    return Figure(part, what, "–", note=f"skipped: {reason}")


def table(figures: Sequence[Figure]) -> str:
    """All figures as a GitHub table."""
    verdict = {True: "yes", False: "**no**", None: ""}
    rows = [(f.part, f.what, f.value, f.target, verdict[f.met], f.note) for f in figures]
    names = ("part", "what", "measured", "target", "met", "from")
    return tabulate(rows, names, tablefmt="github", disable_numparse=True)
