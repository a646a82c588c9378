"""vcebench show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcebench.commands.options import DataRoot, OwnConfig, say

if TYPE_CHECKING:
    from PIL import Image


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
    prompt: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="what the latent diffusion model draws of these words"),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Draw a contact sheet of a data set, or of your own images, or of what networks draw.

    Examples:

      vcebench show digits

      vcebench show synthfaces --output faces.png

      vcebench show synthfaces --prior --output samples.png

      vcebench show synthfaces --prompt "a photo of a smiling person with a hat"

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
        if prompt is not None:
            from vcebench.showing.samples import prompt_sheet

            picture = prompt_sheet(dataset, config, prompt)
        elif config is not None:
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
