"""vcebench evaluate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcebench.commands.options import (
    DataRoot,
    Device,
    Form,
    Format,
    OwnConfig,
    Threads,
    counting,
    installed,
    say,
)
from vcebench.errors import UserError

if TYPE_CHECKING:
    from vcebench.jobs.session import Result


class Cells(StrEnum):
    """By whose verdicts images are counted."""

    ours = "ours"
    foreign = "foreign"


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="use only the first images; files stay as they are")
    ] = None,
    device: Annotated[Device | None, typer.Option(help="where the networks run")] = None,
    threads: Threads = None,
    config: OwnConfig = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="TASK|FILE.toml",
            help="let the classifier of another task, or of a file, judge: a second evaluation",
        ),
    ] = None,
    populations: Annotated[
        Cells | None,
        typer.Option(
            help="foreign: count images of an import as its program filed them, "
            "a second evaluation; ours: by the classifier here"
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE", help="also one of your own: package.module:Name or ./file.py:Name"
        ),
    ] = None,
    data_root: DataRoot = None,
    drop: Annotated[
        bool,
        typer.Option("--forget", help="drop what earlier evaluations found, and compute it anew"),
    ] = False,
    form: Format = Form.github,
) -> None:
    """Compute all metrics of a run, from what its folder holds.

    Values and features of images are kept in the folder's `evaluated/`: an evaluation that was
    stopped continues, and the next one of the same images and networks reads them.

    Nothing that the folder names is run or opened: networks are those of the package or of your
    --config, and the classifier has to be the one that the run explains. Another one judges with
    --judge; its figures say so, and are kept beside the run's own.

    Examples:

      vcebench evaluate runs/digits-3-8-maskdime-1f0e4f2a

      vcebench evaluate RUN --judge smile-robust

      vcebench evaluate RUN --limit 32 --format csv
    """
    from vcebench.evaluating.remembering import forget
    from vcebench.evaluating.verdicts import FILED
    from vcebench.jobs.session import measure_again, run_folders
    from vcebench.settings.custom import read_custom
    from vcebench.settings.installed import find_metric
    from vcebench.settings.request import resolve_device

    where = None if device is None else resolve_device(device.value)
    custom = None if config is None else read_custom(config)[0]
    if populations is Cells.foreign:
        if judge is not None:
            raise UserError("--populations foreign and --judge are two evaluations: one at a time")
        judge = FILED
    installed()
    for place in metric or []:
        find_metric(place)
    if drop:
        for one in run_folders(folder):
            say(f"{one.path}: {forget(one)} blocks of earlier evaluations dropped")
    with counting("images") as progress:
        results = measure_again(folder, limit, where, threads, custom, progress, data_root, judge)
    print_results(results, form)


def print_results(results: list[Result], form: Form) -> None:
    """Result on stdout, everything else on stderr."""
    from vcebench.evaluating.remembering import size
    from vcebench.evaluating.summary import remarks, render
    from vcebench.jobs.session import CONTACT_SHEET

    for line in dict.fromkeys(line for r in results for line in remarks(r.evaluation)):
        say(line)
    for result in results:
        say(f"run folder: {result.folder.path} (pictures: {CONTACT_SHEET})")
        if kept := size(result.folder):
            mebibytes = f"{kept / 2**20:.1f} MiB"
            say(f"{mebibytes} kept for the next evaluation; `vcebench evaluate --forget` drops it")
    typer.echo(render([(r.folder, r.evaluation) for r in results], form.value))
