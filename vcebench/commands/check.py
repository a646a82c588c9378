"""vcebench check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import DataRoot, Form, Format
from vcebench.errors import UserError


def check(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="a run folder, to look for damage")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="id of a data set: `vcebench list datasets`")
    ] = None,
    data_root: DataRoot = None,
    weights: Annotated[
        Path | None, typer.Option(show_default="$VCEBENCH_WEIGHTS", help="weights folder")
    ] = None,
    thorough: Annotated[
        bool, typer.Option(help="also read every network and compare checksums (minutes)")
    ] = False,
    form: Format = Form.github,
) -> None:
    """Tell in seconds what a run on a data set would lack, or what is damaged in a run folder.

    With --dataset: images, lists, networks; exit code 0 if a run can start, 1 if not. Networks that
    only metrics need are `optional`. With a run folder: every file that is missing, damaged or
    another one than its row was stored with; exit code 1 if there is any. The run's own `vcebench
    run` command makes such files again.

    Examples:

      vcebench check --dataset celeba --data-root /data

      vcebench check runs/digits-3-8-maskdime-1f0e4f2a
    """
    if run is not None:
        _run(run, form)
        return
    if dataset is None:
        raise UserError("say what to look at: a run folder, or --dataset ID")
    from dataclasses import asdict

    from vcebench.errors import user_errors
    from vcebench.formats import Table
    from vcebench.jobs.checking import check as look
    from vcebench.weights.store import weights_root

    with user_errors():
        findings = look(dataset, data_root, weights_root(weights), thorough)
    text = Table([asdict(finding) for finding in findings]).render(form.value)
    if form is Form.github:  # sentences do not fit into the cells of a table
        text = "\n".join(f"{found.state:9} {found.item}: {found.detail}" for found in findings)
    typer.echo(text)
    lacking = [finding.item for finding in findings if finding.state in ("missing", "wrong")]
    if lacking:
        typer.echo(f"not ready: {', '.join(lacking)}", err=True)
        raise typer.Exit(1)
    typer.echo(f"ready: vcebench run --method maskdime --dataset {dataset}", err=True)


def _run(path: Path, form: Form) -> None:
    """What is damaged in a run folder, or in those of its seeds."""
    from vcebench.folders.damage import damages
    from vcebench.formats import Table
    from vcebench.jobs.session import run_folders

    rows, files = [], 0
    for folder in run_folders(path):
        found = list(damages(folder))
        files += 0 if found else sum(len(folder.files(row)) for row in folder.rows())
        rows += [
            {
                "run": str(folder.path),
                "image": None if one.row is None else one.row.id,
                "file": one.error.name,
                "problem": one.error.reason,
            }
            for one in found
        ]
    text = Table(rows, ("run", "image", "file", "problem")).render(form.value)
    if form is Form.github:
        text = "\n".join(f"{row['run']}/{row['file']} {row['problem']}" for row in rows)
    typer.echo(text, nl=bool(text))
    if rows:
        typer.echo(
            f"{len(rows)} files are damaged; the run's own vcebench run command makes them again",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"all {files:,} files are those that their rows were stored with", err=True)
