"""The field on one picture: what methods cost against how often an independent network agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vcebench.metrics.registry import METRICS
from vcebench.results.measurements import Measurement
from vcebench.results.tables.names import FAMILIES, column, family, method_name
from vcebench.showing.figures import COLOURS

HEIGHTS = (("oracle_fr",), ("gt_precision", "cout"))
"""Metric of the left and of the right panel; the first of them that is measured."""
MARKS = {"codes of an autoencoder": "s"}
"""Their evaluations are of a decoder, which is smaller than a prior."""
_LINE = 0.042
"""Height of a label in units of a panel."""


@dataclass(frozen=True)
class Place:
    """A method in a panel: its cost, its value, and the value's 95 % interval."""

    method: str
    cost: float
    value: float
    interval: tuple[float, float] | None


def cost_of(figures: dict[str, Measurement]) -> float | None:
    """Evaluations of the prior an image, forward and backward; None where they were not counted."""
    parts = [figures.get(id) for id in ("nfe", "backward_per_image")]
    found = [part.value for part in parts if part is not None and part.value is not None]
    return sum(found) if len(found) == len(parts) else None


def places(rows: Sequence[Measurement], metrics: Sequence[str]) -> tuple[str, list[Place]]:
    """The first of the metrics that is measured, and every method that has it and a cost."""
    by_method: dict[str, dict[str, Measurement]] = {}
    for row in rows:
        if row.value is not None:
            by_method.setdefault(row.method, {})[row.metric] = row
    metric = next((id for id in metrics if any(id in own for own in by_method.values())), "")
    found = []
    for method, own in by_method.items():
        cost, one = cost_of(own), own.get(metric)
        if cost is not None and one is not None and one.value is not None:
            interval = None if one.lo is None or one.hi is None else (one.lo, one.hi)
            found.append(Place(method, cost, one.value, interval))
    return metric, found


def field_map(rows: Sequence[Measurement], lacking: Sequence[str] = ()) -> Figure | None:
    """Cost against agreement and precision, one point a method, a colour a family.

    Args:
        rows: figures of one task, all of the same images.
        lacking: methods of the field that have none, named below.

    Returns:
        The picture; None if no method can be shown.
    """
    panels = [places(rows, metrics) for metrics in HEIGHTS]
    panels = [(metric, found) for metric, found in panels if found]
    if not panels:
        return None
    families = [name for name in dict.fromkeys(FAMILIES.values()) if _has(panels, name)]
    figure = Figure(figsize=(5.6 * len(panels), 5.4), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)
    for axes, (metric, found) in zip(grid[0], panels, strict=True):
        _panel(axes, metric, found)
    handles = [
        Line2D([], [], linestyle="", marker=MARKS.get(name, "o"), color=_colour(name), label=name)
        for name in families
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    first = rows[0]
    title = (
        f"{first.dataset}, {first.task}: the first {first.images} images of the test split, "
        f"{first.protocol}; bars: 95 % intervals"
    )
    if lacking:
        title += f"\nnot measured yet: {', '.join(method_name(method) for method in lacking)}"
    figure.suptitle(title, fontsize=9)
    return figure


def _has(panels: Sequence[tuple[str, list[Place]]], name: str) -> bool:
    return any(family(place.method) == name for _, found in panels for place in found)


def _colour(name: str) -> str:
    known = list(dict.fromkeys(FAMILIES.values()))
    return COLOURS[known.index(name) % len(COLOURS)] if name in known else "#000000"


def _panel(axes: Axes, metric: str, found: Sequence[Place]) -> None:
    for place in found:
        name = family(place.method)
        if place.interval is not None:
            axes.vlines(place.cost, *place.interval, color=_colour(name), linewidth=1, alpha=0.5)
        (point,) = axes.plot(place.cost, place.value, MARKS.get(name, "o"), color=_colour(name))
        point.set(markersize=7, markeredgecolor="black", markeredgewidth=0.5)
    axes.set_xscale("symlog", linthresh=10)
    largest = max(place.cost for place in found)
    axes.set_xlim(-2, 1.5 * max(30.0, largest))
    ticks = [0, *(t for t in (10, 100, 1000, 10_000) if t <= 3 * max(largest, 10))]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    low, high = METRICS[metric].range
    margin = 0.04 * (high - low)
    axes.set_ylim(low - margin, high + margin)  # the whole range: no axis begins where it flatters
    axes.set_xlabel("evaluations of the prior an image, forward and backward")
    heading = column(metric).heading
    unit = METRICS[metric].unit
    axes.set_ylabel(f"{heading} ({unit})" if unit else heading)
    axes.grid(alpha=0.25)
    _names(axes, found)


def _names(axes: Axes, found: Sequence[Place]) -> None:
    """The methods' names to the right of their points; those that would overlap move apart."""
    bottom, top = axes.get_ylim()
    wanted = sorted(found, key=lambda place: (place.value, place.cost))
    at: list[float] = []
    for place in wanted:
        height = (place.value - bottom) / (top - bottom)
        at.append(max(height, at[-1] + _LINE if at else 0.0))
    over = max(0.0, at[-1] - 0.98)
    for number in reversed(range(len(at))):  # back below the upper edge, in their order
        above = at[number + 1] - _LINE if number + 1 < len(at) else at[number] - over
        at[number] = min(at[number], above)
    for place, height in zip(wanted, at, strict=True):
        axes.annotate(
            method_name(place.method),
            (place.cost, place.value),
            xytext=(1.02, height),
            textcoords="axes fraction",
            fontsize=7,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": "#bbbbbb",
                "linewidth": 0.5,
                "relpos": (0.0, 0.5),  # to where the name begins, not through it
            },
        )
