"""vcebench train, vcebench show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from PIL import Image

from vcebench.commands.options import DataRoot, OwnConfig, say

_OWN = "A network of your own images"


def train(
    dataset: Annotated[
        str,
        typer.Argument(help="an embedded data set; or `prior` or `bridge`, for images of your own"),
    ],
    part: Annotated[
        list[str] | None, typer.Option(help="train only this part; can be repeated")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default="checkpoints/DATASET", help="where to write"),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads")] = None,
    restart: Annotated[bool, typer.Option(help="begin anew instead of continuing")] = False,
    images: Annotated[
        Path | None, typer.Option("--data", help="folder of your images", rich_help_panel=_OWN)
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="N or HxW", help="size of the images", rich_help_panel=_OWN)
    ] = "64",
    width: Annotated[
        int, typer.Option(help="channels of the first level", rich_help_panel=_OWN)
    ] = 64,
    steps: Annotated[
        int, typer.Option(min=1, help="training steps", rich_help_panel=_OWN)
    ] = 100_000,
    batch_size: Annotated[
        int, typer.Option(min=1, help="images in a step", rich_help_panel=_OWN)
    ] = 16,
    skip_bad: Annotated[
        bool, typer.Option(help="leave out damaged images, and say so", rich_help_panel=_OWN)
    ] = False,
    flip: Annotated[
        bool, typer.Option(help="mirrored images count too", rich_help_panel=_OWN)
    ] = True,
) -> None:
    """Train the networks of an embedded data set; interrupted, the same command continues.

    Examples:

      vcebench train digits

      vcebench train digits --part prior --output my-networks

      vcebench train prior --data my-images --size 64

      vcebench train bridge --data my-images --size 64
    """
    from vcebench.errors import UserError, user_errors
    from vcebench.training.registry import train as train_networks

    if dataset in ("prior", "bridge"):
        if images is None:
            raise UserError(f"`train {dataset}` needs your images: --data FOLDER")
        from vcebench.training.folder import OwnPlan, train_own

        plan = OwnPlan(_sides(size), width, steps, batch_size, flip)
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        with user_errors():
            output = output or Path("checkpoints/own")
            path = train_own(dataset, images, output, plan, restart, skip_bad=skip_bad)
        typer.echo(str(path))
        return
    with user_errors():
        paths = train_networks(dataset, part, output, threads=threads, restart=restart)
    for path in paths:
        typer.echo(str(path))


def _sides(text: str) -> tuple[int, int]:
    """Height and width from "64" or "48x64"."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() for side in sides):
        from vcebench.errors import UserError

        raise UserError(f"--size is {text!r}; write 64, or HEIGHTxWIDTH such as 48x64")
    return int(sides[0]), int(sides[-1])


def show(
    dataset: Annotated[str | None, typer.Argument(help="a data set")] = None,
    config: OwnConfig = None,
    task: Annotated[str | None, typer.Option(help="which of its tasks")] = None,
    split: Annotated[
        str | None, typer.Option(show_default="the protocol's", help="part of the data set")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default="DATASET.png", help="file to write"),
    ] = None,
    prior: Annotated[
        bool, typer.Option("--prior", help="inputs, noised to τ and denoised by the prior")
    ] = False,
    robust: Annotated[
        bool,
        typer.Option("--robust", help="what classifiers take for the other class"),
    ] = False,
    data_root: DataRoot = None,
) -> None:
    """Draw a contact sheet of a data set, or of your own images, or of what networks draw.

    Examples:

      vcebench show digits

      vcebench show synthfaces --output faces.png

      vcebench show synthfaces --prior --output samples.png

      vcebench show --config mine.toml --prior
    """
    from vcebench.errors import UserError, user_errors
    from vcebench.folders.images import write_atomic
    from vcebench.folders.store import writing
    from vcebench.showing.pictures import png_bytes
    from vcebench.showing.sheets import sheet_of

    if (dataset is None) == (config is None):
        raise UserError("say what to show: a data set, or --config FILE.toml for your own")
    with user_errors():
        if config is not None:
            picture = _own(config, prior)
        elif prior:
            from vcebench.showing.samples import prior_sheet

            picture = prior_sheet(str(dataset), split)
        elif robust:
            from vcebench.showing.samples import robust_sheet

            picture = robust_sheet(str(dataset), split)
        else:
            picture = sheet_of(str(dataset), task, split, data_root)
    path = output or Path(f"{dataset or (config and config.stem)}.png")
    with writing(path):
        write_atomic(path, png_bytes(picture))
    say(f"{picture.width}x{picture.height} pixels")
    typer.echo(str(path))


def _own(path: Path, prior: bool) -> Image.Image:
    """Somebody's own images as a run reads them, or what their prior makes of some of them."""
    from vcebench.settings.custom import read_custom
    from vcebench.showing.samples import own_prior_sheet
    from vcebench.showing.sheets import sheet_of_images

    custom, table = read_custom(path)
    images = custom.open()
    for line in images.notes():
        say(line)
    if prior:
        return own_prior_sheet(custom, images, table.get("tau"))
    return sheet_of_images(images)
