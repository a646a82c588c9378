"""vcebench import, vcebench export."""

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

if TYPE_CHECKING:
    from vcebench.jobs.importing import ImportReport


class LayoutName(StrEnum):
    """Who wrote a foreign folder."""

    auto = "auto"
    pairs = "pairs"
    ace = "ace"
    dime = "dime"
    fastdime = "fastdime"
    maskdime = "maskdime"
    time = "time"


class Kept(StrEnum):
    """What to do with an image that lies in several cells."""

    refuse = "refuse"
    newest = "newest"


_NAMED = 5


def import_(
    folder: Annotated[
        Path, typer.Argument(metavar="PATH", help="the folder a program wrote, or a pairs.csv")
    ],
    dataset: Annotated[
        str | None, typer.Option(help="what the images are of: `vcebench list datasets`")
    ] = None,
    task: Annotated[str | None, typer.Option(help="what is flipped; the set's first task")] = None,
    layout: Annotated[
        LayoutName, typer.Option(help="who wrote it; MaskDiME's folders look like DiME's")
    ] = LayoutName.auto,
    name: Annotated[
        str | None, typer.Option(show_default="its layout", help="what tables call the method")
    ] = None,
    exp: Annotated[
        str | None, typer.Option(help="which of its experiments, where there are several")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="ACE: explanation (the default) or pre-explanation")
    ] = None,
    images: Annotated[
        str,
        typer.Option(
            help="which images the numbers are: DATASET-SPLIT such as celeba-val, a CSV with the "
            "column image_id, or none; auto: those of an embedded set"
        ),
    ] = "auto",
    seed: Annotated[
        int | None, typer.Option(min=0, help="which of several seeds of one method it is")
    ] = None,
    keep: Annotated[
        Kept, typer.Option(help="images left in several cells by an earlier run")
    ] = Kept.refuse,
    judge: Annotated[
        bool, typer.Option(help="ask the classifier again; without, the program's verdicts stand")
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default="runs/foreign-…", help="run folder"),
    ] = None,
    config: OwnConfig = None,
    device: Annotated[Device, typer.Option(help="where the classifier runs")] = Device.auto,
    data_root: DataRoot = None,
    threads: Threads = None,
    form: Format = Form.github,
) -> None:
    """Make a run folder of counterfactuals that another program wrote.

    Reads the folders of ACE, DiME, FastDiME, MaskDiME and TiME, and any program's pairs.csv
    (input, counterfactual, label, target; docs/outside.md). Then evaluate, report, compare and the
    tables take it beside runs of our own. Nothing in the folder is executed or followed.

    Examples:

      vcebench import output/ --dataset celeba --task smile --images celeba-val

      vcebench import ace-output/ --exp smile --part pre-explanation --dataset celebahq

      vcebench import pairs.csv --dataset synthfaces --name mine
    """
    from vcebench.formats import Table
    from vcebench.jobs.importing import ImportRequest, import_folder
    from vcebench.settings.custom import read_custom
    from vcebench.settings.request import resolve_device

    installed()
    request = ImportRequest(
        path=folder,
        layout=layout.value,
        dataset=dataset,
        task=task,
        custom=None if config is None else read_custom(config)[0],
        name=name,
        experiment=exp,
        part=part,
        images=images,
        seed=seed,
        keep=keep.value,
        judge=judge,
        device=resolve_device(device.value),
        data_root=data_root,
        output=output,
        threads=threads,
    )
    with counting("pairs") as progress:
        report = import_folder(request, progress)
    _explain(report)
    typer.echo(Table([_row(report)]).render(form.value))


def export(
    dataset: Annotated[str, typer.Option(help="an embedded data set")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder to write; it must not exist yet")
    ],
    task: Annotated[str | None, typer.Option(help="what is flipped; the set's first task")] = None,
    split: Annotated[
        str | None, typer.Option(show_default="the protocol's", help="part of the data set")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="images, 0 for all")] = 256,
) -> None:
    """Write images and classifier of an embedded set, for programs that know nothing of vcebench.

    A program that fills counterfactuals/ of this folder is measured on known truth:
    `vcebench import` reads it back.

    Examples:

      vcebench export --dataset synthfaces --split test --limit 256 -o faces
    """
    from vcebench.jobs.exporting import export as write

    with counting("images") as progress:
        count = write(dataset, task, split, limit, output, progress)
    say(f"{count} images, the classifier and how to go on: {output}/README.md")
    typer.echo(str(output))


def _row(report: ImportReport) -> dict[str, object]:
    return {
        "run folder": str(report.folder.path),
        "images": report.images,
        "left out": len(report.left_out),
        "FR % as its program says": report.said,
        "FR % judged here": report.judged,
        "verdicts that differ": report.differ if report.compared else None,
    }


def _explain(report: ImportReport) -> None:
    """Notes for people, what was left out, and what to do next."""
    for note in report.notes:
        say(note)
    for name, reason in list(report.left_out.items())[:_NAMED]:
        say(f"left out: {name}: {reason}")
    more = len(report.left_out) - _NAMED
    if more > 0:
        say(f"left out: {more} more, see skipped in {report.folder.path}/manifest.json")
    if report.compared:
        share = 100 * report.differ / report.compared
        say(
            f"{report.differ} of {report.compared} verdicts ({share:.1f} %) differ from the "
            "program's, which judged the image in memory; here it is the stored file"
        )
    say(f"next: vcebench evaluate {report.folder.path}")
