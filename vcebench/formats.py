"""Tables for people and programs: github, csv, json, latex."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tabulate import tabulate

from vcebench.errors import UserError

Format = Literal["github", "csv", "json", "latex"]
FORMATS: tuple[Format, ...] = get_args(Format)

# Letters that LaTeX's standard fonts lack, as they appear in our headings and units.
_TEX = {"ℓ": r"$\ell$", "σ": r"$\sigma$", "τ": r"$\tau$", "λ": r"$\lambda$", "ρ": r"$\rho$"}
_TEX |= {"→": r"$\rightarrow$", "²": r"$^2$", "·": r"$\cdot$", "–": "--", "∩": r"$\cap$"}
_TEX |= {"…": r"\dots{}", "≤": r"$\le$", "φ": r"$\varphi$", "√": r"$\surd$", "ᾱ": r"$\bar\alpha$"}


@dataclass(frozen=True)
class Table:
    """Rows of values by column name; the first row decides the columns unless they are given.

    Numbers stay numbers: csv and json show them in full, github and latex in four digits.
    """

    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[str] = ()

    def names(self) -> list[str]:
        """Column names, in order."""
        return list(self.columns or (self.rows[0] if self.rows else ()))

    def render(self, form: Format) -> str:
        """The table as text, without a line break at its end."""
        if form == "json":
            return dump([{name: row.get(name) for name in self.names()} for row in self.rows])
        if form == "csv":
            return self._csv()
        cells = [[readable(row.get(name)) for name in self.names()] for row in self.rows]
        if form == "github":
            return tabulate(cells, self.names(), tablefmt="github", disable_numparse=True)
        text = tabulate(cells, self.names(), tablefmt="latex_booktabs", disable_numparse=True)
        for letter, command in _TEX.items():
            text = text.replace(letter, command)
        return text

    def _csv(self) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.names())
        for row in self.rows:
            values = (row.get(name) for name in self.names())
            writer.writerow(["" if v is None else _plain(v) for v in values])
        return buffer.getvalue().rstrip("\n")


def check_format(name: str) -> Format:
    """The format itself; raises `UserError` for another word."""
    for known in FORMATS:
        if name == known:
            return known
    raise UserError(f"unknown format {name!r}; use {', '.join(FORMATS)}")


def dump(content: Any) -> str:
    """One JSON document; NaN and infinity are refused rather than written as non-standard words."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=str)


def readable(value: Any) -> str:
    """A cell for people."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(readable(part) for part in value)
    return str(value)


def number(value: float) -> str:
    """Four significant digits, without an exponent for everyday sizes.

    >>> number(0.71234), number(1234.56), number(0.0000123)
    ('0.7123', '1235', '1.23e-05')
    """
    if value != 0 and (abs(value) < 1e-4 or abs(value) >= 1e7):
        return f"{value:.3g}"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.4g}"


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
