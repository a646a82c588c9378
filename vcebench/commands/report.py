"""vcebench report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import (
    counting,
    installed,
)


def report(
    runs: Annotated[list[Path], typer.Argument(help="run folders, in the order to show them")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder of the report; replaces an earlier one")
    ] = Path("report"),
    limit: Annotated[
        int | None,
        typer.Option(min=1, show_default="all", help="show only the first images of a task"),
    ] = None,
) -> None:
    """Write a site about one or more runs that opens from its folder, without a network.

    Examples:

      vcebench report results/runs/*

      vcebench report RUN_A RUN_B --output my-report
    """
    from vcebench.showing.report.build import build_report

    installed()
    with counting("images") as progress:
        page = build_report(runs, output, limit, progress)
    typer.echo(str(page))
