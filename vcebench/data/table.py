"""Lists of files and labels as spreadsheets and scripts write them.

A byte order mark, semicolons or tabs for commas, blanks around them, capitals in the header and
backslashes in paths change nothing; whatever is not understood is refused with line and column.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from vcebench.errors import UserError, one_line

_DELIMITERS = (",", ";", "\t", "|")
_COLUMNS = ("file", "label")


@dataclass(frozen=True)
class Entry:
    """A row of a list: its line in the file, the file as it is written there, and the label."""

    line: int
    file: str
    label: str


def read_table(path: Path) -> list[Entry]:
    """The rows of a list with the columns file and label; further columns are ignored.

    Raises UserError with line and column: unreadable, not UTF-8 (or UTF-16 with its mark), no such
    columns, a row of another length, or a row that lacks a file or a label.
    """
    lines = _lines(path)
    try:
        number, header, delimiter = _header(path, lines)
        columns = {name: header.index(name) for name in _COLUMNS}
        reader = csv.reader(lines[number:], delimiter=delimiter, strict=True)
        entries = [
            _entry(path, number + reader.line_num, row, columns, len(header))
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from error
    if not entries:
        raise UserError(f"{path} lists no file; put a line for each image below the first one")
    return entries


def _lines(path: Path) -> list[str]:
    """The lines of the file with their ends, decoded."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from error
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise UserError(
            f"{path}, line {line}, column {column}: not UTF-8; save it as CSV UTF-8"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UserError(f"{path}, line {line}: holds a NUL character; save it as CSV UTF-8")
    return io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")).readlines()


def _header(path: Path, lines: list[str]) -> tuple[int, list[str], str]:
    """Number of lines up to the first row, names of the columns, and what stands between them."""
    for number, line in enumerate(lines, start=1):
        if not line.strip() or re.fullmatch(r"\s*sep=.\s*", line, re.IGNORECASE):
            continue
        best: list[str] = []
        for delimiter in _DELIMITERS:
            names = [cell.strip().lower() for cell in next(csv.reader([line], delimiter=delimiter))]
            if all(names.count(name) == 1 for name in _COLUMNS):
                return number, names, delimiter
            best = max(best, names, key=len)
        found = ", ".join(repr(name) for name in best)
        raise UserError(
            f"{path}, line {number}: needs a first line with the names file and label, each once, "
            f"then rows; it has {found}"
        )
    raise UserError(f"{path} is empty; it needs a first line with the names file and label")


def _entry(path: Path, line: int, row: list[str], columns: dict[str, int], width: int) -> Entry:
    if len(row) > width and any(cell.strip() for cell in row[width:]):
        raise UserError(
            f"{path}, line {line}, column {width + 1}: {len(row)} values under {width} names; "
            "put a value that holds the separator in quotes"
        )
    cells = [row[i] if i < len(row) else "" for i in range(width)]
    for name in _COLUMNS:
        if not cells[columns[name]].strip():
            raise UserError(
                f"{path}, line {line}, column {columns[name] + 1}: no {name}; fill it in or remove "
                "the line"
            )
    return Entry(line, cells[columns["file"]], cells[columns["label"]].strip())
