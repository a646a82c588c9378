"""vcebench baseline check, vcebench baseline update."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vcebench.commands.options import Form, Format, say

app = typer.Typer(no_args_is_help=True, help="Pinned metric rows of a small fixed subset.")

Folder = Annotated[Path, typer.Option(help="where the pins lie")]
DEFAULT = Path("results/baseline")


@app.command()
def check(folder: Folder = DEFAULT) -> None:
    """Measure the pinned runs anew and compare; exit code 1 if one left its tolerance."""
    from vcebench.jobs.baseline import CONDITIONS, deviations, measure, pinned

    found = []
    with tempfile.TemporaryDirectory() as runs:
        for condition in CONDITIONS:
            stored = pinned(condition, folder)
            differ = list(deviations(condition, measure(condition, Path(runs)), stored))
            say(f"{condition.name}: {'FAIL' if differ else 'OK'}")
            found += differ
    for deviation in found:
        typer.echo(str(deviation))
    if found:
        raise typer.Exit(1)


@app.command()
def update(folder: Folder = DEFAULT, form: Format = Form.github) -> None:
    """Measure the pinned runs, rewrite their files, and print the difference."""
    from vcebench.formats import Table
    from vcebench.jobs.baseline import CONDITIONS
    from vcebench.jobs.baseline import update as renew

    rows: list[Mapping[str, Any]] = []
    with tempfile.TemporaryDirectory() as runs:
        for condition in CONDITIONS:
            rows += renew(condition, Path(runs), folder).rows
    typer.echo(Table(rows).render(form.value))
