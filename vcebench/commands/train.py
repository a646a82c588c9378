"""vcebench train."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vcebench.commands.options import Device, duration
from vcebench.errors import UserError, user_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from vcebench.data.base import ImageSet
    from vcebench.data.listed import ListedSet
    from vcebench.settings.custom import CustomTask
    from vcebench.training.own_plan import Judge, OwnPlan

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
        Path | None,
        typer.Option(
            "--data", help="folder of your images; wins over that of --config", rich_help_panel=_OWN
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="task of your own, in TOML; `robust` needs it", rich_help_panel=_OWN),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="N or HxW", help="size of the images", rich_help_panel=_OWN)
    ] = "64",
    width: Annotated[
        int | None,
        typer.Option(
            help="channels of the first level",
            show_default="32 up to 64 pixels a side, else and on a GPU 64",
            rich_help_panel=_OWN,
        ),
    ] = None,
    channels: Annotated[
        int,
        typer.Option(min=1, max=3, help="with --data: 1 for grey images", rich_help_panel=_OWN),
    ] = 3,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="training steps",
            show_default="see --budget; robust: 1500",
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
            show_default="15m at 32x32, 60m at 64x64 …; on a GPU 15m up to 64x64",
            rich_help_panel=_OWN,
        ),
    ] = None,
    fit: Annotated[
        Fit, typer.Option(help="with --data: how images get the size", rich_help_panel=_OWN)
    ] = Fit.crop,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PRIOR",
            help="prior: begin from a data set's, a published one, a .safetensors, a diffusers "
            "folder, or the [prior] of a .toml",
            rich_help_panel=_OWN,
        ),
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="robust: radius of the L2 ball, for images on [0, 1]",
            show_default="3 at 224 pixels a side",
            rich_help_panel=_OWN,
        ),
    ] = None,
    device: Annotated[
        Device,
        typer.Option(
            help="prior: where it is trained; the others on the CPU (not measured on a GPU)",
            rich_help_panel=_OWN,
        ),
    ] = Device.auto,
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

      vcebench train prior --config own.toml --budget 20m

      vcebench train prior --config own.toml --from synthfaces

      vcebench train bridge --data my-images --size 64

      vcebench train robust --config own.toml
    """
    from vcebench.training.registry import train as train_networks

    if dataset in ("prior", "bridge", "robust"):
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        given = {"steps": steps, "batch": batch_size, "epsilon": epsilon}
        plan: dict[str, Any] = {k: v for k, v in given.items() if v is not None} | {"flip": flip}
        if dataset != "robust":
            plan |= {"size": _sides(size), "fit": fit.value, "channels": channels}
            plan |= {} if width is None else {"width": width}
            plan |= {} if budget is None else {"budget": duration(budget, "--budget")}
        if budget is not None and (steps is not None or dataset == "robust"):
            raise UserError("--budget stands instead of --steps, for `train prior` and `bridge`")
        if begin is not None and (dataset != "prior" or width is not None):
            raise UserError("--from is for `train prior`, and says the width: leave --width away")
        if device is Device.cuda and dataset != "prior":
            raise UserError(f"`train {dataset}` runs on the CPU; --device is for `train prior`")
        place = output or Path("checkpoints/own")
        with user_errors():
            if dataset == "prior":
                from vcebench.settings.request import resolve_device

                plan["device"] = resolve_device(device.value)
            if begin is not None:
                from vcebench.training.beginning import beginning

                plan["begin"] = beginning(begin, place / "state")
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
    from vcebench.settings.custom import read_custom
    from vcebench.training.folder import train_on, train_own
    from vcebench.training.own_robust import RobustPlan, train_own_robust

    if role != "robust" and "epsilon" in plan:
        raise UserError(f"`train {role}` has no --epsilon; leave it away")
    task, table = (None, {}) if config is None else read_custom(config)
    if role == "robust":
        if task is None:
            raise UserError("`train robust` needs labels: --config FILE.toml, as of vcebench run")
        if folder is not None:
            raise UserError("--config says where the labelled images are; leave --data away")
        return train_own_robust(task, output, RobustPlan(**plan), restart, skip_bad=skip_bad)
    if task is not None:
        images = task.open() if folder is None else task.open_all(folder)
        own = _plan({**plan, "size": images.size, "channels": task.data.channels})
        judge = None
        if role == "prior":
            there = folder is not None and task.data.folder.is_dir()
            judge = _judge(task, images, table.get("tau"), task.open() if there else None)
        return train_on(
            role, images, output, own, restart, skip_bad=skip_bad, judge=judge, draw=_sheet
        )
    if folder is None:
        raise UserError(f"`train {role}` needs your images: --data FOLDER, or --config FILE.toml")
    return train_own(role, folder, output, _plan(plan), restart, skip_bad=skip_bad, draw=_sheet)


def _sheet(columns: Mapping[str, Sequence[Tensor]]) -> bytes:
    """A picture of a prior that is being trained."""
    from vcebench.showing.grids import grid
    from vcebench.showing.pictures import png_bytes

    rows = len(next(iter(columns.values())))
    return png_bytes(grid(columns, [""] * rows))


def _plan(given: dict[str, Any]) -> OwnPlan:
    """A plan with what is usual for the size where nothing is said."""
    from vcebench.training.own_plan import OwnPlan, usual

    fallback = usual(given["size"], given.get("device", "cpu"))
    if "steps" in given:
        del fallback["budget"]
    return OwnPlan(**{**fallback, **given})


def _judge(
    task: CustomTask, images: ImageSet, tau: object, theirs: ListedSet | None
) -> Judge | None:
    """The classifier of a task, where its file names one; see `Judge`."""
    from vcebench.models.own_classifier import explained, load_classifier
    from vcebench.settings.presets import preset
    from vcebench.training.own_plan import Judge

    if task.classifier is None:
        return None
    named = task.named(images)
    network = load_classifier(task.classifier).network
    usual = preset(task.name, images.task.name).tau
    found = explained(network, named, task.classifier, "cpu").classifier
    return Judge(found, tau if isinstance(tau, int) else usual, theirs)


def _sides(text: str) -> tuple[int, int]:
    """Height and width from "64" or "48x64"."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() for side in sides):
        raise UserError(f"--size is {text!r}; write 64, or HEIGHTxWIDTH such as 48x64")
    return int(sides[0]), int(sides[-1])
