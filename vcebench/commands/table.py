"""vcebench table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import (
    installed,
    say,
)


class TableForm(StrEnum):
    """How a table of a paper is printed."""

    github = "github"
    csv = "csv"
    json = "json"
    html = "html"
    latex = "latex"


class Source(StrEnum):
    """Whose table."""

    maskdime = "maskdime"
    rcsb = "rcsb"
    eced = "eced"
    dime = "dime"


Runs = Annotated[Path, typer.Option(help="folder of the run folders")]


def table(
    number: Annotated[str, typer.Argument(help="number of the table, 1 … 7, or diversity")],
    dataset: Annotated[
        str | None, typer.Option(help="only this data set; embedded ones fill the same layout")
    ] = None,
    source: Annotated[Source, typer.Option(help="the paper whose table it is")] = Source.maskdime,
    runs: Runs = Path("runs"),
    intervals: Annotated[bool, typer.Option(help="show 95 % intervals")] = False,
    form: Annotated[TableForm, typer.Option("--format", help="how to print it")] = TableForm.github,
) -> None:
    """Print a table of a paper: published rows, and under them what was measured here.

    1 CelebA, CelebA-HQ · 2 BDD · 3 ImageNet pairs · 4 ablation · 5 k and ρ · 6 data sets and
    models · 7 efficiency · diversity: σ_L over five seeds, from the paper's text. An embedded data
    set fills the same layout under its own name.

    Examples:

      vcebench table 1

      vcebench table 4 --dataset synthfaces --intervals

      vcebench table diversity --dataset synthfaces

      vcebench table 1 --source rcsb --format latex > table.tex
    """
    from vcebench.results.tables.layouts import DATA_TABLE

    if number == DATA_TABLE and source is Source.maskdime:
        _data_table(dataset, form)
        return
    _figures(number, dataset, source, runs, intervals, form)


def _data_table(dataset: str | None, form: TableForm) -> None:
    from vcebench.results.tables.datasets import TITLE, data_table, data_text

    with_notes = form in (TableForm.github, TableForm.html)
    shown = data_table(dataset)
    typer.echo(data_text(shown, TITLE, form.value))
    if not with_notes:
        for note in shown.notes:
            say(note)


def _figures(
    number: str, dataset: str | None, source: Source, runs: Path, intervals: bool, form: TableForm
) -> None:
    from vcebench.jobs.plan import commands_that_fill, tasks_of
    from vcebench.results.collection import collect
    from vcebench.results.tables.build import build
    from vcebench.results.tables.layouts import layout, on_dataset
    from vcebench.results.tables.render import WITH_NOTES, render

    installed()
    original = layout(number, source.value)
    shown = on_dataset(original, dataset, tasks_of(dataset)) if dataset else original
    names = list(dict.fromkeys(group.dataset for group in shown.groups if group.dataset))
    found = collect(names, shown, runs)
    fill = [commands_that_fill(shown, name, runs, measured=found.rows) for name in names]
    document = build(shown, original, found.rows, fill, intervals)
    typer.echo(render(document, form.value))
    for line in found.remarks:
        say(line)
    if form.value not in WITH_NOTES:
        for note in document.notes:
            say(note)
