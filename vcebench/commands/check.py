"""vcebench check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import DataRoot, Form, Format


def check(
    dataset: Annotated[str, typer.Option(help="id of a data set: `vcebench list datasets`")],
    data_root: DataRoot = None,
    weights: Annotated[
        Path | None, typer.Option(show_default="$VCEBENCH_WEIGHTS", help="weights folder")
    ] = None,
    thorough: Annotated[
        bool, typer.Option(help="also read every network and compare checksums (minutes)")
    ] = False,
    form: Format = Form.github,
) -> None:
    """Tell in seconds what a run on a data set would lack: images, lists, networks.

    Exit code 0 if a run can start, 1 if not. Networks that only metrics need are `optional`.

    Examples:

      vcebench check --dataset celeba --data-root /data
    """
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
