"""Tables as LaTeX with booktabs: \\usepackage{booktabs}, nothing else."""

from __future__ import annotations

from vcebench.results.tables.model import Cell, Document, Panel, Row, group_name

# Letters of our headings and names that LaTeX's standard fonts lack, and its special characters.
_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "ℓ": r"$\ell$",
    "σ": r"$\sigma$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "…": r"\dots{}",
    "“": "``",
    "”": "''",
    "·": r"$\cdot$",
}
_LETTERS = str.maketrans(_TEX)


def escape(text: str) -> str:
    """Text for LaTeX.

    >>> escape("FR ↑ 5 %")
    'FR $\\\\uparrow$ 5 \\\\%'
    """
    return text.translate(_LETTERS)


def latex(document: Document) -> str:
    """One tabular a panel, tasks side by side; notes are not part of it."""
    title = f"% Table {document.number}: {escape(document.title)}"
    return "\n\n".join([title, *(_tabular(panel) for panel in document.panels if panel.rows)])


def _tabular(panel: Panel) -> str:
    width = len(panel.columns)
    total = 1 + width * len(panel.groups)
    lines = [rf"\begin{{tabular}}{{l{'r' * (total - 1)}}}", r"\toprule"]
    lines.append(rf"\multicolumn{{{total}}}{{c}}{{{escape(panel.title)}}} \\")
    lines.append(r"\midrule")
    if len(panel.groups) > 1:
        names = [rf"\multicolumn{{{width}}}{{c}}{{{escape(group_name(g))}}}" for g in panel.groups]
        lines.append(_line(["", *names]))
        starts = range(2, total, width)
        lines.append("".join(rf"\cmidrule(lr){{{s}-{s + width - 1}}}" for s in starts))
    headings = [escape(column.heading) for _ in panel.groups for column in panel.columns]
    lines += [_line(["Method", *headings]), r"\midrule"]
    before: Row | None = None
    for row in panel.rows:
        if before is not None and _kind(before) != _kind(row):
            lines.append(r"\midrule")
        lines.append(_line([escape(row.name), *(_cell(cell) for cell in row.cells)]))
        before = row
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _kind(row: Row) -> tuple[bool, int | None]:
    return (row.measured, row.images)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if "^" in cell.text:  # complexities
        text = "$" + cell.text.replace("^", "^{").replace(")", "})") + "$"
    text = {0: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}[cell.rank].format(text)
    text += rf"\textsuperscript{{{cell.mark}}}" if cell.mark else ""
    text += f" ({cell.difference})" if cell.difference else ""
    return text + (f" [{escape(cell.interval)}]" if cell.interval else "")
