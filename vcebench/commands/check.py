"""vcebench check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcebench.commands.options import DataRoot, Form, Format, OwnConfig, counting
from vcebench.errors import UserError, user_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vcebench.jobs.checking import Finding


def check(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="a run folder, to look for damage")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="id of a data set: `vcebench list datasets`")
    ] = None,
    config: OwnConfig = None,
    data_root: DataRoot = None,
    weights: Annotated[
        Path | None, typer.Option(show_default="$VCEBENCH_WEIGHTS", help="weights folder")
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option(help="read every network and compare checksums, or every image (minutes)"),
    ] = False,
    form: Format = Form.github,
) -> None:
    """Tell in seconds what a run would lack, leave out and cost, or what a run folder has lost.

    With --dataset: images, lists, networks; exit code 0 if a run can start, 1 if not. Networks that
    only metrics need are `optional`. With --config: the same of a task of your own, what is left
    out, how your files and networks are read, and what a run would cost. With a run folder: every
    file that is missing, damaged or another one than its row was stored with; exit code 1 if there
    is any. The run's own `vcebench run` command makes such files again.

    Examples:

      vcebench check --dataset celeba --data-root /data

      vcebench check --config mine.toml

      vcebench check runs/digits-3-8-maskdime-1f0e4f2a
    """
    if sum(asked is not None for asked in (run, dataset, config)) != 1:
        raise UserError("say one thing to look at: a run folder, --dataset ID, or --config FILE")
    if run is not None:
        _run(run, form)
        return
    with user_errors():
        if config is not None:
            from vcebench.jobs.checkingown import check_own

            with counting("image files") as progress:
                findings = list(check_own(config, thorough, progress))
            _print(findings, form, f"vcebench run --config {config}")
            return
        from vcebench.jobs.checking import check as look
        from vcebench.weights.store import weights_root

        findings = look(str(dataset), data_root, weights_root(weights), thorough)
    _print(findings, form, f"vcebench run --method maskdime --dataset {dataset}")


def _print(findings: Sequence[Finding], form: Form, command: str) -> None:
    """All findings on stdout; the verdict on stderr and as the exit code."""
    from dataclasses import asdict

    from vcebench.formats import Table

    text = Table([asdict(finding) for finding in findings]).render(form.value)
    if form is Form.github:  # sentences do not fit into the cells of a table
        text = "\n".join(f"{found.state:9} {found.item}: {found.detail}" for found in findings)
    typer.echo(text)
    bad = ("missing", "wrong")
    lacking = dict.fromkeys(finding.item for finding in findings if finding.state in bad)
    if lacking:
        typer.echo(f"not ready: {', '.join(lacking)}", err=True)
        raise typer.Exit(1)
    typer.echo(f"ready: {command}", err=True)


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
