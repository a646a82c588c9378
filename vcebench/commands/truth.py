"""vcebench truth, vcebench sanity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcebench.commands.options import Form, Format, Threads, say
from vcebench.errors import UserError

if TYPE_CHECKING:
    from vcebench.jobs.plan import Planned

Runs = Annotated[Path, typer.Option(help="folder of the run folders")]
DryRun = Annotated[bool, typer.Option(help="only say what would be run")]


def truth(
    dataset: Annotated[str, typer.Option(help="one whose causes are known")] = "synthfaces",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, show_default="128", help="images a run; slow methods and sanity stop at 32"
        ),
    ] = None,
    runs: Runs = Path("runs"),
    only_stored: Annotated[bool, typer.Option(help="print what is there, run nothing")] = False,
    dry_run: DryRun = False,
    export: Annotated[
        Path | None, typer.Option(help="also write the figures to DATASET-truth.csv in this folder")
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="also draw truth-TASK.png and truth-correlations.png into it"),
    ] = None,
    threads: Threads = None,
    form: Format = Form.github,
) -> None:
    """Which methods explain the classifier, and which published metrics can tell?

    Runs what is missing on tasks whose truth is known, each run in a process of its own, the most
    valuable first; interrupted, the same command continues. Prints method × ground truth with 95 %
    intervals, then rank correlations of the published metrics with it, over methods and tasks. As
    csv or json: the single figures. Longer runs that exist are reused, on their first images.

    Examples:

      vcebench truth --dry-run

      vcebench truth --limit 16

      vcebench truth --only-stored --format csv
    """
    from vcebench.formats import Table, check_format
    from vcebench.jobs import truth as study
    from vcebench.jobs.truthsheet import write_pictures
    from vcebench.jobs.truthtable import agreement_table, table
    from vcebench.results.measurements import COLUMNS, stored_runs

    planned = study.truth_plan(dataset, limit)
    if dry_run:
        _print_states(planned, runs, form)
        return
    failed = [] if only_stored else _make(planned, runs, threads)
    for path in study.evaluate_shorter(dataset, stored_runs(runs)[0], limit, threads):
        say(f"evaluated on fewer images: {path}")
    rows = study.gather(dataset, stored_runs(runs)[0], limit)
    if not rows:
        raise UserError(f"nothing is measured on {dataset}; leave --only-stored away")
    if export is not None:
        say(f"written: {study.export(rows, dataset, export)}")
    if pictures is not None:
        for path in write_pictures(dataset, stored_runs(runs)[0], rows, pictures, limit):
            say(f"written: {path}")
    shape = check_format(form.value)
    shown = [*rows, *study.beside(dataset, stored_runs(runs)[0])]
    if shape in ("csv", "json"):
        typer.echo(Table([vars(row) for row in shown], COLUMNS).render(shape))
    else:
        typer.echo(Table(table(shown)).render(shape))
        typer.echo("\nSpearman's ρ, 1 where both call the same methods better:\n")
        typer.echo(Table(agreement_table(rows)).render(shape))
    if failed:
        raise UserError(f"{len(failed)} runs failed; their messages are above")


def sanity(
    method: Annotated[
        list[str], typer.Option(help="id of a method: `vcebench list methods`; can be repeated")
    ],
    dataset: Annotated[str, typer.Option(help="id of a data set")] = "synthfaces",
    task: Annotated[str, typer.Option(help="what is flipped")] = "smile",
    limit: Annotated[int, typer.Option(min=1, help="images")] = 32,
    runs: Runs = Path("runs"),
    dry_run: DryRun = False,
    threads: Threads = None,
    form: Format = Form.github,
) -> None:
    """Do a method's counterfactuals depend on the classifier that they explain?

    Compares those for the task's classifier with those for one of random weights and for one
    trained on permuted labels: same images, targets and noise, one try (Adebayo et al., 2018).
    `difference` is 0 where they are equal and 1 where no part of one edit is in the other;
    `rank correlation` (Spearman) compares where they edit.

    Examples:

      vcebench sanity --method maskdime --method no-mask-s8

      vcebench sanity --method pgd --limit 16 --format csv
    """
    from vcebench.formats import Table
    from vcebench.jobs.sanity import comparisons, rows_of, sanity_plan
    from vcebench.results.measurements import stored_runs

    plans = [sanity_plan(name, dataset, task, limit) for name in method]
    planned = [wanted for plan in plans for wanted in plan]
    if dry_run:
        _print_states(planned, runs, form)
        return
    failed = _make(planned, runs, threads)
    stored = stored_runs(runs)[0]
    found = [one for plan in plans for one in comparisons(plan, stored)]
    typer.echo(Table(rows_of(found)).render(form.value))
    if failed:
        raise UserError(f"{len(failed)} runs failed; their messages are above")


def _make(planned: list[Planned], runs: Path, threads: int | None) -> list[Planned]:
    """Run what is missing; returns what failed."""
    from vcebench.jobs.sweep import sweep

    outcomes = sweep(planned, runs, threads, say)
    return [one.planned for one in outcomes if one.state == "failed"]


def _print_states(planned: list[Planned], runs: Path, form: Form) -> None:
    from vcebench.formats import Table
    from vcebench.jobs.plan import existing
    from vcebench.results.measurements import stored_runs

    stored, remarks = stored_runs(runs)
    for line in remarks:
        say(line)
    rows = []
    for wanted in planned:
        run = existing(wanted, stored)
        state = "missing" if run is None else "there"
        path = "" if run is None else str(run.path)
        rows.append({"state": state, "command": wanted.command, "run folder": path})
    typer.echo(Table(rows).render(form.value))
