"""Tables as text: github, csv, json, html, latex."""

from __future__ import annotations

import csv
import html
import io
import json
from typing import Any, Literal, get_args

from tabulate import tabulate

from vcebench.results.tables.latex import latex
from vcebench.results.tables.model import Cell, Document, Panel, Row, group_name

Format = Literal["github", "csv", "json", "html", "latex"]
FORMATS: tuple[Format, ...] = get_args(Format)
WITH_NOTES: tuple[Format, ...] = ("github", "html")
"""Formats for people, with the notes below; with the others the notes go to stderr."""


def render(document: Document, form: Format) -> str:
    """A table as text, without a line break at its end."""
    renderers = {"github": github, "csv": tidy, "json": as_json, "html": as_html, "latex": latex}
    return renderers[form](document).rstrip("\n")


def heading(document: Document) -> str:
    """ "Table 1: CelebA and CelebA-HQ"; what the paper prints in its text has no number."""
    return (
        f"Table {document.number}: {document.title}"
        if document.number.isdigit()
        else document.title
    )


def github(document: Document) -> str:
    """Markdown: one table a task, as sixteen columns fit on no screen."""
    parts = [f"**{heading(document)}**"]
    singles = [single for panel in document.panels for single in panel.split()]
    for panel in singles:
        if not panel.rows:
            continue
        headings = ["Method", *(column.heading for column in panel.columns)]
        cells = [[row.name, *(_markdown(cell) for cell in row.cells)] for row in panel.rows]
        text = tabulate(
            [[_pipe(value) for value in line] for line in cells],
            headings,
            tablefmt="github",
            disable_numparse=True,
            colalign=["left", *["right"] * len(panel.columns)],
        )
        parts.append(f"{panel.title}\n\n{text}" if panel.title else text)
    if len(parts) == 1:
        parts.append("(no rows)")
    parts.append(_note_lines(document))
    return "\n\n".join(part for part in parts if part)


def _note_lines(document: Document) -> str:
    """Notes as a list; a line that starts with blanks belongs to the one before."""
    return "\n".join(
        f"  - {note.strip()}" if note.startswith("  ") else f"- {note}" for note in document.notes
    )


def _markdown(cell: Cell) -> str:
    text = {0: "{}", 1: "**{}**", 2: "_{}_"}[cell.rank].format(cell.text)
    return text + (f"^{cell.mark}" if cell.mark else "") + _addition(cell)


def _addition(cell: Cell) -> str:
    """Difference and interval."""
    text = f" ({cell.difference})" if cell.difference else ""
    return text + (f" [{cell.interval}]" if cell.interval else "")


def _pipe(text: str) -> str:
    return text.replace("|", "\\|")


TIDY = (
    *("origin", "dataset", "task", "method", "metric", "value", "lo", "hi", "n", "images"),
    *("published", "difference", "rank", "backbone", "seed", "device", "protocol", "note"),
)


def records(document: Document) -> list[dict[str, Any]]:
    """One record a cell, cells without any figure left out; numbers in full."""
    found = []
    for panel in document.panels:
        for row in panel.rows:
            for cell in row.cells:
                if cell.measured is not None or cell.text != "–":
                    found.append(_record(row, cell))
    return found


def _record(row: Row, cell: Cell) -> dict[str, Any]:
    one = cell.measured
    record: dict[str, Any] = dict.fromkeys(TIDY)
    record |= {
        "origin": "measured" if row.measured else "published",
        "dataset": cell.group.dataset,
        "task": cell.group.task,
        "method": row.method,
        "metric": cell.column.metric,
        "value": cell.text if cell.value is None and cell.text != "–" else cell.value,
        "difference": float(cell.difference) if cell.difference else None,
        "rank": cell.rank or None,
    }
    if cell.difference and cell.value is not None:
        record["published"] = round(cell.value - float(cell.difference), 6)
    if one is not None:
        for name in ("lo", "hi", "n", "images", "backbone", "seed", "device", "protocol", "note"):
            record[name] = getattr(one, name)
    return record


def tidy(document: Document) -> str:
    """CSV, one line a cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, TIDY, lineterminator="\n")
    writer.writeheader()
    for record in records(document):
        writer.writerow({name: "" if v is None else v for name, v in record.items()})
    return buffer.getvalue()


def as_json(document: Document) -> str:
    """One JSON object: title, cells, notes."""
    content = {
        "table": document.number,
        "source": document.source,
        "title": document.title,
        "cells": records(document),
        "notes": list(document.notes),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def as_html(document: Document) -> str:
    """A fragment: one table a panel, tasks side by side, notes below. All text is escaped."""
    parts = [f"<h2>{html.escape(heading(document))}</h2>"]
    parts += [_html_panel(panel) for panel in document.panels if panel.rows]
    items = "".join(f"<li>{html.escape(note.strip())}</li>" for note in document.notes)
    return "\n".join(parts) + (f"\n<ul>{items}</ul>" if items else "")


def _html_panel(panel: Panel) -> str:
    width = len(panel.columns)
    lines = ["<table>", f"<caption>{html.escape(panel.title)}</caption>", "<thead>"]
    if len(panel.groups) > 1:
        spans = "".join(
            f'<th colspan="{width}" scope="colgroup">{html.escape(group_name(group))}</th>'
            for group in panel.groups
        )
        lines.append(f"<tr><th></th>{spans}</tr>")
    headings = [column.heading for _ in panel.groups for column in panel.columns]
    cells = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in headings)
    lines += [f'<tr><th scope="col">Method</th>{cells}</tr>', "</thead>", "<tbody>"]
    for row in panel.rows:
        kind = "measured" if row.measured else "published"
        figures = "".join(f"<td>{_html_cell(cell)}</td>" for cell in row.cells)
        name = html.escape(row.name)
        lines.append(f'<tr class="{kind}"><th scope="row">{name}</th>{figures}</tr>')
    return "\n".join([*lines, "</tbody>", "</table>"])


def _html_cell(cell: Cell) -> str:
    text = html.escape(cell.text)
    text = {0: "{}", 1: "<strong>{}</strong>", 2: "<u>{}</u>"}[cell.rank].format(text)
    return text + (f"<sup>{cell.mark}</sup>" if cell.mark else "") + _addition(cell)
