"""Figures drawn with matplotlib; every function takes numbers and returns a figure.

No global state of matplotlib is touched, so that they work in any process, with or without a
screen.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

# Colours that remain apart for colour-blind readers (Okabe and Ito, 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#F0E442")
STEPS_SHOWN = 8


@dataclass(frozen=True)
class Point:
    """A method in the efficiency scatter: wall seconds, FID, peak memory in MiB."""

    label: str
    time: float
    fid: float
    memory: float


@dataclass(frozen=True)
class Film:
    """The steps of one image under one method.

    Attributes:
        label: name of the method.
        indices: (S,) noise levels, falling.
        estimates: (S, 3, H, W) x_t as used at each step, in [-1, 1].
        outer, inner: (S, H, W) booleans, M^z and M^x.
    """

    label: str
    indices: Sequence[int]
    estimates: npt.NDArray[Any]
    outer: npt.NDArray[Any]
    inner: npt.NDArray[Any]


@dataclass(frozen=True)
class Tries:
    """What the images of a run took: λ_c of the last try, evaluations, and whether it flipped."""

    label: str
    lambda_class: Sequence[float]
    nfe: Sequence[int]
    flipped: Sequence[bool]


@dataclass(frozen=True)
class Curves:
    """COUT's transition: fractions (P,), probabilities (n, P) of target and source."""

    label: str
    fractions: Floats
    target: Floats
    source: Floats


@dataclass(frozen=True)
class Panel:
    """Correlations with their 95 % intervals, rows × columns; None where there is none."""

    label: str
    values: Sequence[Sequence[float | None]]
    intervals: Sequence[Sequence[tuple[float, float] | None]]


def efficiency(points: Sequence[Point], title: str) -> Figure:
    """Time against FID, circle area by peak memory: the layout of MaskDiME's Figure 4."""
    figure = _figure(8, 4.5)
    axes = figure.subplots()
    largest = max(point.memory for point in points)
    for number, point in enumerate(points):
        colour = COLOURS[number % len(COLOURS)]
        area = 1500 * point.memory / largest
        # Small circles lie on top of large ones.
        axes.scatter(
            point.time, point.fid, s=area, color=colour, alpha=0.7, zorder=2 + 1 / (1 + area)
        )
        label = f"{point.label} ({point.memory:,.0f} MiB)"
        axes.plot([], [], "o", color=colour, alpha=0.7, label=label)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    times = [point.time for point in points]
    if max(times) > 10 * min(times) > 0:
        axes.set_xscale("log")
    axes.margins(0.2)
    axes.set(xlabel="total time (s)", ylabel="FID ↓")
    axes.set_title(title, fontsize=10)
    return figure


def heat_maps(films: Sequence[Film], title: str) -> Figure:
    """Masks, and where the estimate changed, over the steps: one pair of lines a method.

    Masks: dark is M^x, light the rest of M^z. Change: mean over channels of |x_t - previous x_t|,
    every line on its own scale,
    which ends at the 99.5 % quantile.
    """
    chosen = [_spread(len(film.indices)) for film in films]
    columns = max(len(steps) for steps in chosen)
    figure = _figure(1.2 * columns + 1.2, 2.5 * len(films) + 0.5)
    grid = figure.subplots(2 * len(films), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (film, steps) in enumerate(zip(films, chosen, strict=True)):
        masks = film.outer.astype(float) + film.inner.astype(float)
        before = np.concatenate([film.estimates[:1], film.estimates[:-1]])
        change = np.abs(film.estimates - before).mean(axis=1)
        top = max(float(np.quantile(change, 0.995)), 1e-6)  # single pixels would dim the rest
        for column, step in enumerate(steps):
            upper, lower = grid[2 * number][column], grid[2 * number + 1][column]
            upper.imshow(masks[step], cmap="Blues", vmin=0, vmax=2)
            upper.set_title(f"i = {film.indices[step]}", fontsize=7)
            lower.imshow(change[step], cmap="magma", vmin=0, vmax=top)
        _line_label(grid[2 * number][0], f"{film.label}\nmasks")
        _line_label(grid[2 * number + 1][0], "change\nof x_t")
    figure.suptitle(title, fontsize=10)
    return figure


def _spread(count: int) -> list[int]:
    """At most `STEPS_SHOWN` steps, evenly from the first to the last."""
    return sorted({int(step) for step in np.linspace(0, count - 1, min(count, STEPS_SHOWN))})


def _line_label(axes: Axes, text: str) -> None:
    axes.text(-0.1, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=8)


def ladder(runs: Sequence[Tries]) -> Figure:
    """How far up the λ_c ladder images went, and the histogram of their evaluations."""
    figure = _figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    rungs = sorted({rung for run in runs for rung in run.lambda_class})
    width = 0.8 / len(runs)
    places = np.arange(len(rungs))
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        rung, flipped = np.array(run.lambda_class), np.array(run.flipped, dtype=bool)
        done = np.array([(flipped & (rung == r)).sum() for r in rungs])
        failed = np.array([(~flipped & (rung == r)).sum() for r in rungs])
        at = places + width * (number - (len(runs) - 1) / 2)
        left.bar(at, done, width, color=colour, label=run.label)
        left.bar(at, failed, width, bottom=done, color="white", edgecolor=colour, hatch="//")
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(runs))]
    right.hist([list(run.nfe) for run in runs], bins=20, color=colours)
    left.set_xticks(places, [f"{rung:g}" for rung in rungs])
    left.set(xlabel="λ_c of the last try (hatched: not flipped)", ylabel="images")
    right.set(xlabel="prior evaluations per image", ylabel="images")
    left.legend(fontsize=8)
    return figure


def correlation_bars(
    names: Sequence[str], labels: Floats, changes: Mapping[str, Floats], query: str
) -> Figure:
    """What CD adds up: correlations with the queried attribute, of labels and of changes.

    Args:
        names: A attributes.
        labels: (A,) correlation of the training labels with the query's.
        changes: name of a run → (A,) correlation of the changes it made.
        query: name of the queried attribute.
    """
    figure = _figure(8, 0.45 * len(names) + 1.5)
    axes = figure.subplots()
    bars = {"labels": labels, **changes}
    height = 0.8 / len(bars)
    places = np.arange(len(names))
    for number, (label, values) in enumerate(bars.items()):
        colour = "#999999" if number == 0 else COLOURS[(number - 1) % len(COLOURS)]
        at = places + height * (number - (len(bars) - 1) / 2)
        cd = "" if number == 0 else f" (CD {np.abs(labels - values).sum():.2f})"
        axes.barh(at, values, height, color=colour, label=label + cd)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set(xlabel=f"correlation with {query}", xlim=(-1.05, 1.05))
    axes.legend(fontsize=8)
    return figure


def agreement_maps(panels: Sequence[Panel], rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Rank correlations as coloured tables, side by side; bold where the interval leaves out 0."""
    figure = _figure(0.6 * len(columns) * len(panels) + 1.5, 0.42 * len(rows) + 1.9)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)
    for axes, panel in zip(grid[0], panels, strict=True):
        values = np.array([[np.nan if v is None else v for v in line] for line in panel.values])
        axes.set_facecolor("#dddddd")
        picture = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            interval = panel.intervals[row][column]
            if interval is None or np.isnan(value):
                continue
            sure = interval[0] > 0 or interval[1] < 0
            weight, ink = "bold" if sure else "normal", "white" if abs(value) > 0.6 else "black"
            text = f"{value:+.2f}"
            axes.text(column, row, text, ha="center", va="center", color=ink, weight=weight, size=7)
        axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", fontsize=8)
        axes.set_yticks(range(len(rows)), rows, fontsize=8)
        axes.set_title(panel.label, fontsize=9)
    bar = figure.colorbar(picture, ax=grid[0, -1])
    bar.set_label("Spearman's ρ", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def cout_curves(runs: Sequence[Curves]) -> Figure:
    """Mean probability of target and source while pixels are inserted; bands: 80 % of images."""
    figure = _figure(6.5, 4)
    axes = figure.subplots()
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        for values, style, what in ((run.target, "-", "target"), (run.source, "--", "source")):
            label = f"{run.label}, {what}"
            axes.plot(run.fractions, values.mean(axis=0), style, color=colour, label=label)
            low, high = np.quantile(values, [0.1, 0.9], axis=0)
            axes.fill_between(run.fractions, low, high, color=colour, alpha=0.1, linewidth=0)
    axes.set(xlabel="share of pixels inserted", ylabel="probability", ylim=(-0.02, 1.02))
    axes.legend(fontsize=8)
    return figure


def encode(figure: Figure, form: str) -> bytes:
    """A figure as the content of a png, svg or pdf file; equal figures are equal bytes."""
    buffer = io.BytesIO()
    unstamped = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.savefig(buffer, format=form, dpi=150, metadata=unstamped[form])
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")
