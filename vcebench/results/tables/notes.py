"""What is said under a table: where its figures come from, what is missing and why."""

from __future__ import annotations

from collections.abc import Sequence

from vcebench.metrics.registry import METRICS
from vcebench.models.bounds import remarks as remarks_on_networks
from vcebench.results.tables.layouts import STAND_INS, Layout
from vcebench.results.tables.model import Cell, Panel, Row, group_name
from vcebench.results.tables.names import dataset_name, method_name
from vcebench.settings.config import PROTOCOL

SHOWN_COMMANDS = 12

PRINTED_ONLY = ("repaint", "mcg", "ddrm")
"""Samplers that a paper adapted without saying how; they have no entry here."""


def notes(
    shown: Layout, panels: Sequence[Panel], remarks: Sequence[str], fill: Sequence[Sequence[str]]
) -> list[str]:
    """All notes of a table, the most important first."""
    rows = [row for panel in panels for row in panel.rows if row.measured]
    lines = _stand_in(shown)
    if any(not row.measured for panel in panels for row in panel.rows):
        lines.append("Published rows are as printed; “–” there: not printed.")
    there = {row.method for panel in panels for row in panel.rows}
    if printed := [method_name(id) for id in PRINTED_ONLY if id in there]:
        lines.append(
            f"{', '.join(printed)}: printed rows only. How guidance was put into them is not "
            "published, so a figure measured here would wear a name that is not its own."
        )
    if rows:
        lines.append(
            "Bold (**): best, emphasised (_): second, of each column, as printed; published rows "
            "among themselves, measured rows among those of equal images, backbone and (time, "
            "memory) device."
        )
        lines += _below(shown, rows) + _measured(rows) + _missing(rows)
    if any(cell.difference for row in rows for cell in row.cells):
        lines.append("In brackets: measured minus published.")
    lines += dict.fromkeys(remarks)
    return lines + _commands(rows, fill)


def _stand_in(shown: Layout) -> list[str]:
    names = {group.dataset for group in shown.groups}
    return [
        f"{dataset_name(name)} is an embedded data set under its own name: these figures are no "
        "reproduction of the paper's, whose table is "
        f"`vcebench table {shown.number}{_source(shown)}`."
        for name in sorted(names & STAND_INS.keys())
    ]


def _below(shown: Layout, rows: Sequence[Row]) -> list[str]:
    """Networks that are below what was asked of them, and the measured rows that rest on them."""
    methods = [row.method for row in rows]
    names = dict.fromkeys(group.dataset for group in shown.groups)
    return [line for name in names for line in remarks_on_networks(name, methods)]


def _source(shown: Layout) -> str:
    return "" if shown.source.startswith("maskdime") else f" --source {shown.source}"


def _measured(rows: Sequence[Row]) -> list[str]:
    """n, seed, device, code and backbones of the measured rows."""
    lines = [_numbers(rows)]
    found = [c.measured for row in rows for c in row.cells if c.measured is not None]
    for title, values in (
        ("Seed", [one.seed for one in found]),
        ("Device", [one.device for one in found]),
        ("Batch and τ", [one.note for one in found if one.note.startswith("batch")]),
        ("Commit", [one.commit[:10] + one.commit[40:] for one in found]),
        ("Date", [one.date for one in found]),
    ):
        distinct = [value for value in dict.fromkeys(values) if value]
        if distinct:
            lines.append(f"{title}: {', '.join(distinct)}.")
    lines.append(f"Protocol: {PROTOCOL}.")
    if any(one.metric == "peak_memory" and one.device.startswith("CPU") for one in found):
        lines.append("Peak memory on a CPU: largest resident memory of the run's process.")
    if any(one.metric == "peak_memory" for one in found):
        lines.append("MB: a million bytes.")
    return lines + _backbones(rows)


def _numbers(rows: Sequence[Row]) -> str:
    """n of the measured rows, by task and population."""
    seen: dict[str, str] = {}
    for row in rows:
        counts: dict[str, int] = {}
        for cell in row.cells:
            if cell.measured and cell.measured.value is not None:
                key = f"{cell.measured.task} {cell.measured.population}"
                counts.setdefault(key, cell.measured.n)
        seen.setdefault(f"{row.label}, {row.images} images", _counts(counts))
    return "n: " + "; ".join(f"{name} ({counts})" for name, counts in seen.items()) + "."


def _backbones(rows: Sequence[Row]) -> list[str]:
    """Which columns are seen through which network; nothing where none is."""
    backbones: dict[str, list[str]] = {}
    for row in rows:
        for cell in row.cells:
            if cell.measured is not None and cell.value is not None and cell.measured.backbone:
                titles = backbones.setdefault(cell.measured.backbone, [])
                if cell.column.title not in titles:
                    titles.append(cell.column.title)
    parts = [f"{', '.join(titles)}: {name}" for name, titles in backbones.items()]
    return [f"Backbones: {'; '.join(parts)}."] if parts else []


def _counts(counts: dict[str, int]) -> str:
    tasks = {key.partition(" ")[0] for key in counts}
    drop = len(tasks) == 1
    return ", ".join(f"{key.partition(' ')[2] if drop else key} {n}" for key, n in counts.items())


def _missing(rows: Sequence[Row]) -> list[str]:
    """Why cells of measured rows are empty, one line a reason."""
    reasons: dict[str, dict[str, None]] = {}
    for row in rows:
        for cell in row.cells:
            if cell.value is None:
                where = _reason(cell)
                reasons.setdefault(where, {})[f"{cell.column.title} of {row.label}"] = None
    lines = []
    for reason, cells in reasons.items():
        titles = {cell.partition(" of ")[0]: None for cell in cells}
        everywhere = all(f"{t} of {r.label}" in cells for t in titles for r in rows)
        names = ", ".join(titles) if everywhere else ", ".join(cells)
        lines.append(f"–: {names}: {reason}.")
    return lines


def _reason(cell: Cell) -> str:
    if cell.measured is None:
        if cell.column.metric == "complexity":
            return "needs runs at two values of τ"
        if cell.column.metric not in METRICS:
            return "not a metric of this protocol"
        return f"not measured on {group_name(cell.group)}"
    return cell.measured.note or "not recorded"


def _commands(rows: Sequence[Row], fill: Sequence[Sequence[str]]) -> list[str]:
    """Sweeps that measure what the table lacks; also their runs, where nothing is measured."""
    lines = []
    for sweep, *runs in (commands for commands in fill if commands):
        if rows:
            lines.append(f"Still to measure: `{sweep}` ({len(runs)} runs).")
            continue
        lines.append(f"Nothing is measured here; `{sweep}` would fill it with {len(runs)} runs:")
        shown = runs[:SHOWN_COMMANDS] if len(fill) == 1 else runs[:1]
        lines += [f"  `{command}`" for command in shown]
        if len(runs) > len(shown):
            lines.append(f"  and {len(runs) - len(shown)} more (`{sweep} --dry-run` shows them)")
    return lines
