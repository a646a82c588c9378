"""vcebench train, vcebench show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import DataRoot, say


def train(
    dataset: Annotated[str, typer.Argument(help="an embedded data set")],
    part: Annotated[
        list[str] | None, typer.Option(help="train only this part; can be repeated")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(show_default="checkpoints/DATASET", help="where to write")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads")] = None,
    restart: Annotated[bool, typer.Option(help="begin anew instead of continuing")] = False,
) -> None:
    """Train the networks of an embedded data set; interrupted, the same command continues.

    Examples:

      vcebench train digits

      vcebench train digits --part prior --output my-networks
    """
    from vcebench.errors import user_errors
    from vcebench.training.registry import train as train_networks

    with user_errors():
        paths = train_networks(dataset, part, output, threads=threads, restart=restart)
    for path in paths:
        typer.echo(str(path))


def show(
    dataset: Annotated[str, typer.Argument(help="a data set")],
    task: Annotated[str | None, typer.Option(help="which of its tasks")] = None,
    split: Annotated[str, typer.Option(help="part of the data set")] = "test",
    output: Annotated[
        Path | None, typer.Option(show_default="DATASET.png", help="file to write")
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Draw a contact sheet of a data set.

    Examples:

      vcebench show digits

      vcebench show synthfaces --output faces.png
    """
    from vcebench.errors import user_errors
    from vcebench.images import write_atomic
    from vcebench.pictures import png_bytes
    from vcebench.sheets import sheet_of
    from vcebench.store import writing

    with user_errors():
        picture = sheet_of(dataset, task, split, data_root)
    path = output or Path(f"{dataset}.png")
    with writing(path):
        write_atomic(path, png_bytes(picture))
    say(f"{picture.width}x{picture.height} pixels")
    typer.echo(str(path))
