"""Published and measured figures put into the layout of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vcebench.methods.registry import METHODS
from vcebench.results import published
from vcebench.results.measurements import Measurement
from vcebench.results.published import PublishedFigure
from vcebench.results.tables import notes as remarks
from vcebench.results.tables.layouts import ABLATIONS, STAND_INS, TRUTH, Group, Layout
from vcebench.results.tables.model import Cell, Document, Panel, Row, panel_title, ranked
from vcebench.results.tables.names import Column, column, enough_digits, figure_text, method_name
from vcebench.settings.config import PROTOCOL
from vcebench.settings.origin import published_name

# Figures of another machine or another number of images say nothing about each other.
MACHINE = ("time", "peak_memory")


def build(
    shown: Layout,
    original: Layout,
    measured: Sequence[Measurement],
    fill: Sequence[Sequence[str]] = (),
    intervals: bool = False,
) -> Document:
    """A table with its published rows and, under them, the measured ones.

    Args:
        shown: the layout, on the data sets to show.
        original: the paper's layout, for the order of rows.
        measured: all measured figures at hand; those of other tables are left out.
        fill: per data set, the sweep that measures what the table lacks, and its runs.
        intervals: whether measured cells show their 95 % interval.
    """
    figures = [f for f in published.figures() if _belongs(f, original)]
    order = list(dict.fromkeys(f.method for f in figures))
    usable, left_out = usable_rows(shown, measured)
    panels, footnotes = [], []
    columns = tuple(column(metric) for metric in (*shown.metrics, *shown.added))
    for groups in shown.panels:
        rows = _published_rows(figures, groups, columns)
        mine = _measured_rows(usable, figures, groups, columns, order, intervals)
        mine, marks = _marked(mine)
        footnotes += marks
        complete = ranked([*rows, *mine])
        panels.append(Panel(panel_title(groups), groups, columns, complete))
    for groups in shown.panels:
        more = _truth_columns(usable, groups)
        if rows := _measured_rows(usable, (), groups, more, order, intervals):
            title = panel_title(groups, "metrics the paper's table lacks")
            panels.append(Panel(title, groups, more, ranked(rows)))
    return Document(
        source=shown.source,
        number=shown.number,
        title=shown.title,
        panels=tuple(panels),
        notes=tuple(remarks.notes(shown, panels, [*footnotes, *left_out], fill)),
    )


def usable_rows(
    shown: Layout, measured: Iterable[Measurement]
) -> tuple[list[Measurement], list[str]]:
    """Measured figures that belong into a table, and remarks on those left out.

    Figures of another protocol are left out. Rows are kept for those numbers of images that are
    the largest of some method: all methods at 256, say, and all at the 32 a slow one stopped at.
    """
    wanted = [row for row in measured if _fits(shown, row)]
    others = sorted({row.protocol for row in wanted if row.protocol != PROTOCOL})
    rows = [row for row in wanted if row.protocol == PROTOCOL]
    largest: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row.dataset, row.task, row.method)
        largest[key] = max(largest.get(key, 0), row.images)
    kept = [row for row in rows if row.images in set(largest.values())]
    return kept, [
        f"rows measured by protocol {protocol} are left out: they do not compare with {PROTOCOL}"
        for protocol in others
    ]


def _fits(shown: Layout, row: Measurement) -> bool:
    """Whether a measured row is about a method and task of the table."""
    if Group(row.dataset, row.task) not in shown.groups:
        return False
    method = published_name(row.method)
    if method in ABLATIONS:
        return method in shown.methods
    # Tables of systems take any system, also one made elsewhere; tables of variants only theirs.
    return method in shown.methods or not set(shown.methods) & set(ABLATIONS)


def _belongs(figure: PublishedFigure, entry: Layout) -> bool:
    return (figure.source, figure.table) == (entry.source, entry.printed or entry.number)


def _published_rows(
    figures: Sequence[PublishedFigure], groups: Sequence[Group], columns: Sequence[Column]
) -> list[Row]:
    """The printed rows of a panel, in the paper's order."""
    cells: dict[tuple[str, str], dict[tuple[Group, str], PublishedFigure]] = {}
    for figure in figures:
        group = Group(figure.dataset, figure.task)
        if group not in groups:
            continue
        place = (group, figure.metric)
        variant = ""
        if place in cells.get((figure.method, ""), {}) or _has_variants(figures, figure):
            parts = [part for part in figure.note.split("; ") if not part.startswith("±")]
            variant = parts[0].split(" (")[0]
        cells.setdefault((figure.method, variant), {})[place] = figure
    rows = []
    for (method, variant), found in cells.items():
        label = method_name(method) + (f", {variant}" if variant else "")
        row = tuple(_printed(found.get((g, c.printed)), g, c) for g in groups for c in columns)
        rows.append(Row(label, method, measured=False, cells=row))
    return rows


def _has_variants(figures: Sequence[PublishedFigure], one: PublishedFigure) -> bool:
    """Whether a method stands in several rows of the same table."""
    same = [
        f
        for f in figures
        if (f.dataset, f.task, f.method, f.metric)
        == (one.dataset, one.task, one.method, one.metric)
    ]
    return len(same) > 1


def _printed(figure: PublishedFigure | None, group: Group, column: Column) -> Cell:
    if figure is None:
        return Cell(group, column)
    return Cell(group, column, figure.value, figure.number, peers=("published",))


def _measured_rows(
    usable: Sequence[Measurement],
    figures: Sequence[PublishedFigure],
    groups: Sequence[Group],
    columns: Sequence[Column],
    order: Sequence[str],
    intervals: bool,
) -> list[Row]:
    """The measured rows of a panel: most images first, then the paper's order."""
    at: dict[tuple[int, str, str], dict[tuple[Group, str], Measurement]] = {}
    for one in usable:
        group = Group(one.dataset, one.task)
        if group in groups:
            row = at.setdefault((one.images, one.method, one.device), {})
            row[group, one.metric] = one
    digits = {c: enough_digits(c, _values(usable, c, groups)) for c in columns}
    printed = {(Group(f.dataset, f.task), f.method, f.metric): f.number for f in figures}
    rows = []
    for images, method, device in sorted(at, key=lambda key: (-key[0], _place(key[1], order))):
        found = at[images, method, device]
        cells = []
        for group in groups:
            for c in columns:
                one_ = found.get((group, c.metric))
                reference = printed.get((group, published_name(method), c.printed))
                cells.append(_cell(one_, group, c, digits[c], reference, intervals))
        if any(cell.measured is not None for cell in cells):
            rows.append(Row(method_name(method), method, True, tuple(cells), images, device))
    return rows


def _values(usable: Sequence[Measurement], c: Column, groups: Sequence[Group]) -> list[float]:
    return [
        one.value
        for one in usable
        if one.metric == c.metric
        and one.value is not None
        and Group(one.dataset, one.task) in groups
    ]


def _place(method: str, order: Sequence[str]) -> tuple[int, int]:
    """The paper's order, then the registry's."""
    known, name = list(METHODS), published_name(method)
    second = known.index(name) if name in known else len(known)
    return (order.index(name) if name in order else len(order), second)


def _cell(
    one: Measurement | None,
    group: Group,
    column: Column,
    digits: int,
    reference: float | None,
    intervals: bool,
) -> Cell:
    if one is None or one.value is None:
        return Cell(group, column, measured=one)
    value = one.value * column.factor
    machine = one.device if column.metric in MACHINE else ""
    difference = ""
    # Wall time is about as many images; the papers' tables have 1,000.
    if reference is not None and (column.metric != "time" or one.images == 1000):
        difference = f"{value - reference:+.{digits}f}"
    interval = ""
    if intervals and one.lo is not None and one.hi is not None:
        interval = " … ".join(
            figure_text(column.metric, bound * column.factor, digits) for bound in (one.lo, one.hi)
        )
    return Cell(
        group,
        column,
        figure_text(column.metric, value, digits),
        value,
        peers=(one.images, one.backbone, machine),
        difference=difference,
        interval=interval,
        measured=one,
    )


def _marked(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Rows with a letter wherever one column has figures of several backbones."""
    by_column: dict[tuple[Group, str], list[str]] = {}
    for cell in (cell for row in rows for cell in row.cells):
        if cell.measured is not None and cell.value is not None:
            names = by_column.setdefault((cell.group, cell.column.metric), [])
            if cell.measured.backbone not in names:
                names.append(cell.measured.backbone)
    mixed = [name for names in by_column.values() if len(names) > 1 for name in names]
    letters = {name: "abcdefghijklmnopqrstuvwxyz"[i] for i, name in enumerate(dict.fromkeys(mixed))}

    def marked(cell: Cell) -> Cell:
        names = by_column.get((cell.group, cell.column.metric), [])
        if cell.measured is None or cell.value is None or len(names) < 2:
            return cell
        return replace(cell, mark=letters[cell.measured.backbone])

    changed = [replace(row, cells=tuple(marked(cell) for cell in row.cells)) for row in rows]
    return changed, [f"{letter}: computed with {name}" for name, letter in letters.items()]


def _truth_columns(usable: Sequence[Measurement], groups: Sequence[Group]) -> tuple[Column, ...]:
    """Columns of measured metrics that the papers' tables lack; none on published data sets."""
    if any(group.dataset not in STAND_INS for group in groups):
        return ()
    known = {one.metric for one in usable if one.value is not None}
    return tuple(column(metric) for metric in TRUTH if metric in known)
