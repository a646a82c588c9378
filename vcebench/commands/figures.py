"""vcebench figures."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcebench.commands.options import DataRoot, OwnConfig, say
from vcebench.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vcebench.folders.runfolder import RunFolder


class FileForm(StrEnum):
    """File format of the figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def figures(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN]...", help="run folders of one task")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder to write to")] = Path(
        "figures"
    ),
    dataset: Annotated[
        str | None,
        typer.Option(help="efficiency and field of this data set's measured methods"),
    ] = None,
    task: Annotated[str | None, typer.Option(help="whose field is drawn; else the first")] = None,
    runs: Annotated[Path, typer.Option(help="folder of the run folders")] = Path("runs"),
    image: Annotated[str | None, typer.Option(help="id of the image for the heat maps")] = None,
    config: OwnConfig = None,
    data_root: DataRoot = None,
    form: Annotated[FileForm, typer.Option("--format", help="file format")] = FileForm.png,
) -> None:
    """Draw figures: ladder, heat maps, COUT curves, correlations, efficiency, the field.

    Those that cannot be drawn (no trace, no attributes) are named with the reason on stderr.
    Without a run the efficiency scatter is drawn, time against FID, circle area by memory (with
    --dataset as measured, else as printed); and with --dataset the field: every method that was
    measured on a task of an embedded set, by what it costs and how often an independent network
    sees the target.

    Examples:

      vcebench figures runs/synthfaces-smile-maskdime-1f0e runs/synthfaces-smile-fastdime-5b1c

      vcebench figures --dataset synthfaces --task smile-plain --format pdf
    """
    from vcebench.folders.images import write_atomic
    from vcebench.folders.store import writing
    from vcebench.showing.figures import encode

    drawn = 0
    plans = _of_runs(folders, image, config, data_root) if folders else {}
    if not folders or dataset:
        plans["efficiency"] = lambda: _efficiency(dataset, runs)
    if dataset:
        plans["field"] = lambda: _field(dataset, task, runs)
    for name, draw in plans.items():
        try:
            picture = draw()
        except UserError as error:
            say(f"no {name}: {error}")
            continue
        path = output / f"{name}.{form.value}"
        with writing(output):
            output.mkdir(parents=True, exist_ok=True)
            write_atomic(path, encode(picture, form.value))
        drawn += 1
        typer.echo(str(path))
    if not drawn:
        raise UserError("nothing could be drawn; the reasons are above")


def _of_runs(
    paths: list[Path], image: str | None, config: Path | None, data_root: Path | None
) -> dict[str, Callable[[], Figure]]:
    from functools import cache

    from vcebench.folders.runfolder import RunFolder
    from vcebench.models.bundle import Bundle
    from vcebench.running.stored import check_classifier, networks_of_run
    from vcebench.settings.custom import read_custom
    from vcebench.showing import figuredata, figures

    custom = None if config is None else read_custom(config)[0]
    folders = [RunFolder.existing(path) for path in paths]
    _check_same_task(folders)

    @cache
    def networks() -> Bundle:
        bundle = networks_of_run(folders[0], custom)
        for folder in folders[1:]:
            check_classifier(folder, bundle)
        return bundle

    def heat_maps() -> Figure:
        chosen = figuredata.common_image(folders, image)
        films = [figuredata.film_of(folder, chosen) for folder in folders]
        return figures.heat_maps(films, f"{folders[0].config().dataset}, image {chosen}")

    def cout_curves() -> Figure:
        return figures.cout_curves([figuredata.curves_of(f, networks()) for f in folders])

    def correlations() -> Figure:
        bundle = networks()
        names, query, labels = figuredata.label_correlations(folders[0], bundle, data_root)
        changes = {
            figuredata.label_of(f): figuredata.change_correlations(f, bundle, names, query)
            for f in folders
        }
        return figures.correlation_bars(names, labels, changes, query)

    return {
        "ladder": lambda: figures.ladder([figuredata.tries_of(folder) for folder in folders]),
        "heat-maps": heat_maps,
        "cout-curves": cout_curves,
        "correlations": correlations,
    }


def _check_same_task(folders: list[RunFolder]) -> None:
    tasks = sorted({f"{f.config().dataset} {f.config().task}" for f in folders})
    if len(tasks) > 1:
        raise UserError(f"the runs are about {' and '.join(tasks)}; give runs of one task")


def _efficiency(dataset: str | None, runs: Path) -> Figure:
    from vcebench.jobs.plan import table_on
    from vcebench.results.collection import all_measured
    from vcebench.results.measurements import stored_runs
    from vcebench.showing import figuredata, figures

    if dataset is None:
        title = "As printed by MaskDiME: CelebA, smile; time and memory of 1,000 images"
        return figures.efficiency(figuredata.printed_points(), title)
    task = table_on("7", dataset).groups[0].task
    found = all_measured(dataset, stored_runs(runs)[0])
    points = figuredata.points_of(found.rows, task)
    if not points:
        raise UserError(
            f"no method of {dataset} has measured time, memory and FID; "
            f"`vcebench sweep --table 7 --dataset {dataset}` and --table 1 measure them"
        )
    return figures.efficiency(points, f"Measured on {dataset}, {task}")


def _field(dataset: str, task: str | None, runs: Path) -> Figure:
    from vcebench.jobs.field import TASKS
    from vcebench.jobs.fieldrows import gather, waiting
    from vcebench.results.measurements import stored_runs
    from vcebench.showing.fieldfigure import field_map

    if dataset not in TASKS:
        raise UserError(f"the field is one of embedded sets: {', '.join(TASKS)}")
    rows = gather(dataset, stored_runs(runs)[0]).rows
    known = dict.fromkeys([*TASKS[dataset], *(row.task for row in rows)])
    shown = task or TASKS[dataset][0]
    if shown not in known:
        raise UserError(f"nothing is measured on {dataset} {shown}; use {', '.join(known)}")
    lacking = [wanted.method for wanted in waiting(dataset, rows) if wanted.task == shown]
    picture = field_map([row for row in rows if row.task == shown], lacking)
    if picture is None:
        raise UserError(
            f"no method is measured on {dataset} {shown}; "
            f"`vcebench sweep --all --dataset {dataset}` measures them"
        )
    return picture
