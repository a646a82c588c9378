"""vcebench sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcebench.commands.options import DataRoot, Form, Format, Threads, duration, say
from vcebench.errors import UserError

if TYPE_CHECKING:
    from vcebench.jobs.plan import Planned
    from vcebench.jobs.sweep import Outcome


def sweep(
    dataset: Annotated[str, typer.Option(help="id of a data set")],
    table: Annotated[str | None, typer.Option(help="number of a table, or diversity")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="the whole field: one method a family, an embedded set")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(help="stop after this time, such as 2h or 90m; the same command continues"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="images a row; slow methods stop at 32")
    ] = None,
    runs: Annotated[Path, typer.Option(help="folder of the run folders")] = Path("runs"),
    export: Annotated[
        Path | None,
        typer.Option(help="also write the figures to DATASET-tableN.csv or DATASET-field.csv here"),
    ] = None,
    only_export: Annotated[bool, typer.Option(help="write what is there, run nothing")] = False,
    dry_run: Annotated[bool, typer.Option(help="only say what would be run")] = False,
    threads: Threads = None,
    data_root: DataRoot = None,
    form: Format = Form.github,
) -> None:
    """Run what a table lacks on a data set, the most valuable rows first.

    Runs that exist are not made again, interrupted ones are continued. Every run has a process of
    its own. Slow methods stop at 32 images; the other rows are then also evaluated on those.

    --all runs every family on the first 64 images of every task where truth is known best, and says
    which method cannot run where, and why.

    Examples:

      vcebench sweep --table 4 --dataset synthfaces --dry-run

      vcebench sweep --table 4 --dataset synthfaces --limit 256 --export results/embedded

      vcebench sweep --all --dataset synthfaces --budget 2h --export results/embedded
    """
    from vcebench.formats import Table
    from vcebench.jobs.field import field_plan
    from vcebench.jobs.plan import plan
    from vcebench.jobs.sweep import evaluate_first
    from vcebench.jobs.sweep import export as write
    from vcebench.jobs.sweep import sweep as make
    from vcebench.results.collection import TABLES
    from vcebench.results.measurements import stored_runs

    if everything == (table is not None):
        raise UserError("say what to run: --table N, or --all")
    planned: Sequence[Planned]
    if table is None:
        field = field_plan(dataset, limit)
        planned = field.planned
        for (task, method), reason in field.left_out.items():
            say(f"not on {task}: {method}: {reason}")
    else:
        if table not in TABLES:
            raise UserError(f"unknown table {table!r}; use {', '.join(TABLES)}")
        planned = plan(table, dataset, limit)
    time = None if budget is None else duration(budget, "--budget")
    if dry_run or only_export:
        outcomes = _as_it_is(planned, runs)
    else:
        outcomes = make(planned, runs, threads, say, data_root=data_root, budget=time)
    if table is not None and not dry_run:
        for path in evaluate_first(stored_runs(runs)[0], planned, threads, data_root):
            say(f"evaluated on fewer images: {path}")
    if export is not None and not dry_run:
        path = (
            _export_field(dataset, runs, export, threads)
            if table is None
            else write(table, dataset, runs, export)
        )
        say(f"written: {path}")
    rows = [
        {"state": one.state, "command": one.planned.command, "run folder": one.path}
        for one in outcomes
    ]
    typer.echo(Table(rows).render(form.value))
    left = sum(one.state == "left" for one in outcomes)
    if left:
        say(f"the budget of {budget} is used: {left} runs are left; the same command continues")
    failed = [one for one in outcomes if one.state == "failed"]
    if failed:
        raise UserError(f"{len(failed)} of {len(outcomes)} runs failed; their messages are above")


def _as_it_is(planned: Sequence[Planned], runs: Path) -> list[Outcome]:
    """Which of the planned runs are there; nothing is run."""
    from vcebench.jobs.plan import existing
    from vcebench.jobs.sweep import Outcome
    from vcebench.results.measurements import stored_runs

    stored, remarks = stored_runs(runs)
    for line in remarks:
        say(line)
    states = [(wanted, existing(wanted, stored)) for wanted in planned]
    return [
        Outcome(wanted, "missing" if run is None else "there", str(run.path) if run else "")
        for wanted, run in states
    ]


def _export_field(dataset: str, runs: Path, folder: Path, threads: int | None) -> Path:
    from vcebench.jobs import fieldrows
    from vcebench.results.measurements import stored_runs

    for path in fieldrows.evaluate_longer(dataset, stored_runs(runs)[0], threads):
        say(f"evaluated on fewer images: {path}")
    found = fieldrows.gather(dataset, stored_runs(runs)[0], folder)
    for line in found.remarks:
        say(line)
    return fieldrows.export(found.rows, dataset, folder)
