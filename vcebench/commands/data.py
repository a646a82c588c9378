"""vcebench train, vcebench show."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from PIL import Image

from vcebench.commands.options import DataRoot, OwnConfig, say

_OWN = "A network of your own images"


class Fit(StrEnum):
    """How an image of any shape becomes one of the size wanted."""

    crop = "crop"
    stretch = "stretch"
    pad = "pad"


def train(
    dataset: Annotated[
        str,
        typer.Argument(
            help="an embedded data set; or `prior`, `bridge` or `robust`, for images of your own"
        ),
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
    config: Annotated[
        Path | None,
        typer.Option(help="task of your own, in TOML; `robust` needs it", rich_help_panel=_OWN),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="N or HxW", help="size of the images", rich_help_panel=_OWN)
    ] = "64",
    width: Annotated[
        int, typer.Option(help="channels of the first level", rich_help_panel=_OWN)
    ] = 64,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="training steps",
            show_default="100000; robust: 1500",
            rich_help_panel=_OWN,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="images in a step",
            show_default="16; robust: 32",
            rich_help_panel=_OWN,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="prior, bridge: as many steps as fit into 20m, 2h …, instead of --steps",
            rich_help_panel=_OWN,
        ),
    ] = None,
    fit: Annotated[
        Fit, typer.Option(help="with --data: how images get the size", rich_help_panel=_OWN)
    ] = Fit.crop,
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="robust: radius of the L2 ball, for images on [0, 1]",
            show_default="3 at 224 pixels a side",
            rich_help_panel=_OWN,
        ),
    ] = None,
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

      vcebench train prior --data my-images --size 32 --width 32 --budget 20m

      vcebench train bridge --data my-images --size 64

      vcebench train robust --config own.toml
    """
    from vcebench.errors import UserError, user_errors
    from vcebench.training.registry import train as train_networks

    if dataset in ("prior", "bridge", "robust"):
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        given = {"steps": steps, "batch": batch_size, "epsilon": epsilon}
        plan: dict[str, Any] = {k: v for k, v in given.items() if v is not None} | {"flip": flip}
        if dataset != "robust":
            plan |= {"size": _sides(size), "width": width, "fit": fit.value}
            plan |= {} if budget is None else {"budget": _seconds(budget)}
        if budget is not None and (steps is not None or dataset == "robust"):
            raise UserError("--budget stands instead of --steps, for `train prior` and `bridge`")
        place = output or Path("checkpoints/own")
        with user_errors():
            typer.echo(str(_train_own(dataset, images, config, place, plan, restart, skip_bad)))
        return
    with user_errors():
        paths = train_networks(dataset, part, output, threads=threads, restart=restart)
    for path in paths:
        typer.echo(str(path))


def _train_own(
    role: str,
    folder: Path | None,
    config: Path | None,
    output: Path,
    plan: dict[str, Any],
    restart: bool,
    skip_bad: bool,
) -> Path:
    """Train a network of somebody's own images; returns its file."""
    from vcebench.errors import UserError
    from vcebench.settings.custom import read_custom
    from vcebench.training.folder import OwnPlan, train_on, train_own
    from vcebench.training.own_robust import RobustPlan, train_own_robust

    if role != "robust" and "epsilon" in plan:
        raise UserError(f"`train {role}` has no --epsilon; leave it away")
    if folder is not None and config is not None:
        raise UserError("--config says where the images are; leave --data away")
    task = None if config is None else read_custom(config)[0]
    if role == "robust":
        if task is None:
            raise UserError("`train robust` needs labels: --config FILE.toml, as of vcebench run")
        return train_own_robust(task, output, RobustPlan(**plan), restart, skip_bad=skip_bad)
    if task is not None:
        images = task.open()
        own = OwnPlan(**{**plan, "size": images.size})
        return train_on(role, images, output, own, restart, skip_bad=skip_bad)
    if folder is None:
        raise UserError(f"`train {role}` needs your images: --data FOLDER, or --config FILE.toml")
    return train_own(role, folder, output, OwnPlan(**plan), restart, skip_bad=skip_bad)


def _seconds(text: str) -> float:
    """Seconds of "90s", "20m" or "1.5h"."""
    units = {"s": 1, "m": 60, "h": 3600}
    number = text[:-1] if text[-1:] in units else ""
    try:
        seconds = float(number) * units[text[-1:]]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < 10**8:
        from vcebench.errors import UserError

        raise UserError(f"--budget is {text!r}; write a time such as 90s, 20m or 1.5h")
    return seconds


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
