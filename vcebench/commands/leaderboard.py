"""vcebench leaderboard, vcebench remake, vcebench pack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import (
    DataRoot,
    Form,
    Format,
    Threads,
    counting,
    installed,
    say,
)

Run = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="run folders, or packs of runs")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder of the site; it must not exist yet")
    ] = Path("leaderboard"),
) -> None:
    """Write pages that rank methods, one a data set and task, and open from their folder.

    Runs of our own, imported ones and printed figures stand side by side; every row says how it is
    known and leads to its pictures.

    Examples:

      vcebench leaderboard runs/* submission.zip -o site
    """
    from vcebench.folders.runfolder import RunFolder
    from vcebench.jobs.remaking import verdict_of
    from vcebench.showing.leaderboard.build import build_leaderboard

    installed()

    def verdict(folder: RunFolder) -> str | None:
        found = verdict_of(folder)
        return None if found is None else found.state

    with counting("runs") as progress:
        page = build_leaderboard(runs, output, verdict, progress)
    typer.echo(str(page))


def remake(
    folder: Run,
    images: Annotated[int, typer.Option(min=1, help="size of the sample: the first images")] = 8,
    threads: Threads = None,
    data_root: DataRoot = None,
    form: Format = Form.github,
) -> None:
    """Run a sample of a stored run again with its own configuration, and write the verdict into it.

    OK: every metric is within the 95 % interval of the stored one, or all pixels are the same;
    OKish: within twice its width; FAIL, with exit code 1, otherwise.

    Examples:

      vcebench remake runs/digits-3-8-maskdime-1f0e4f2a --images 16
    """
    from dataclasses import asdict

    from vcebench.folders.runfolder import RunFolder
    from vcebench.formats import Table
    from vcebench.jobs.remaking import remake as make

    found = make(RunFolder.existing(folder), images, threads, data_root)
    say(f"{found.same_pixels} of {found.images} counterfactuals have the same pixels")
    typer.echo(Table([asdict(metric) for metric in found.metrics]).render(form.value))
    say(f"verdict: {found.state}")
    if found.state == "FAIL":
        raise typer.Exit(1)


def pack(
    folder: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", show_default="RUN.zip", help="file to write")
    ] = None,
) -> None:
    """Put a run into one file to hand over: rows, metrics, manifest, 16 pictures, no classifier.

    `vcebench leaderboard` takes it, and checks all of it first.

    Examples:

      vcebench pack runs/digits-3-8-maskdime-1f0e4f2a -o submission.zip
    """
    from vcebench.folders.packs import pack as write
    from vcebench.folders.runfolder import RunFolder

    path = output or folder.with_name(f"{folder.resolve().name}.zip")
    count = write(RunFolder.existing(folder), path)
    say(f"{count} files, {path.stat().st_size / 2**20:.1f} MiB")
    typer.echo(str(path))
