"""A table before it is printed: panels of rows of cells, and notes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vcebench.results.measurements import Measurement
from vcebench.results.tables.layouts import Group
from vcebench.results.tables.names import Column, dataset_name, task_name
from vcebench.settings.origin import foreign_name

MISSING = "–"

Rank = Literal[0, 1, 2]


@dataclass(frozen=True)
class Cell:
    """One figure.

    Attributes:
        group, column: where it stands.
        text: the figure as printed, `MISSING` if there is none.
        value: the figure; None if missing, and for a complexity as printed.
        peers: figures with equal peers may be compared.
        rank: 1 for the best among its peers, 2 for the second, else 0.
        difference: measured minus published, with sign; empty if not both exist.
        interval: "lo … hi", empty without one.
        mark: letter of a footnote, empty without one.
        measured: where a measured figure comes from.
    """

    group: Group
    column: Column
    text: str = MISSING
    value: float | None = None
    peers: Hashable = None
    rank: Rank = 0
    difference: str = ""
    interval: str = ""
    mark: str = ""
    measured: Measurement | None = None


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        label, method: name and id.
        measured: whether it was measured here; else it is as published.
        images: images explained, of a measured row.
        device: where, of a measured row.
        cells: one per column of the panel.
    """

    label: str
    method: str
    measured: bool
    cells: tuple[Cell, ...]
    images: int | None = None
    device: str = ""

    @property
    def name(self) -> str:
        """Label that says where the row comes from."""
        if not self.measured:
            return self.label
        how = "measured" if foreign_name(self.method) is None else "imported"
        return f"{self.label} ({how}, {self.images} images)"


@dataclass(frozen=True)
class Panel:
    """Rows over the same columns; groups stand side by side where the format can."""

    title: str
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def split(self) -> list[Panel]:
        """One panel a group, without rows that have nothing in it."""
        width = len(self.columns)
        panels = []
        for i, group in enumerate(self.groups):
            cut = [replace(row, cells=row.cells[i * width : (i + 1) * width]) for row in self.rows]
            kept = [row for row in cut if any(cell.text != MISSING for cell in row.cells)]
            title = self.title
            if len(self.groups) > 1 and group.task:
                title = f"{group_name(group)}{self.suffix}"
            panels.append(Panel(title, (group,), self.columns, tuple(kept)))
        return panels

    @property
    def suffix(self) -> str:
        """What follows the data set in the title."""
        return self.title.partition(":")[1] + self.title.partition(":")[2]


@dataclass(frozen=True)
class Document:
    """A complete table."""

    source: str
    number: str
    title: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]


def group_name(group: Group) -> str:
    """ "CelebA, Smile"."""
    names = [dataset_name(group.dataset), task_name(group.task)]
    return ", ".join(name for name in names if name)


def panel_title(groups: Sequence[Group], addition: str = "") -> str:
    """The data sets of a panel, and its task if there is only one."""
    datasets = list(dict.fromkeys(group.dataset for group in groups))
    if len(groups) == 1:
        title = group_name(groups[0])
    else:
        title = ", ".join(dataset_name(dataset) for dataset in datasets)
    return f"{title}: {addition}" if addition else title


def ranked(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows with best and second marked in every column, among peers of which there are two.

    What is printed alike is marked alike.
    """
    ranks: dict[tuple[int, int], Rank] = {}
    width = len(rows[0].cells) if rows else 0
    for position in range(width):
        by_peers: dict[Hashable, list[int]] = {}
        for number, row in enumerate(rows):
            cell = row.cells[position]
            if cell.value is not None and cell.column.better is not None:
                by_peers.setdefault(cell.peers, []).append(number)
        for numbers in by_peers.values():
            falling = rows[0].cells[position].column.better == "higher"
            found = {n: rows[n].cells[position] for n in numbers}
            best = sorted(found.values(), key=lambda cell: cell.value or 0.0, reverse=falling)
            order = list(dict.fromkeys(cell.text for cell in best))
            if len(numbers) > 1:
                for n, cell in found.items():
                    ranks[n, position] = _rank(order.index(cell.text))
    return tuple(
        replace(
            row,
            cells=tuple(
                replace(cell, rank=ranks.get((number, position), 0))
                for position, cell in enumerate(row.cells)
            ),
        )
        for number, row in enumerate(rows)
    )


def _rank(place: int) -> Rank:
    if place == 0:
        return 1
    return 2 if place == 1 else 0
