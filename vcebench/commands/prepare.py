"""vcebench prepare."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import DataRoot, OwnConfig, Threads, say


class Method(StrEnum):
    """What is prepared."""

    time = "time"


def prepare(
    method: Annotated[Method, typer.Argument(help="whose preparation: time, its words")],
    dataset: Annotated[str | None, typer.Option(help="id of a data set")] = None,
    task: Annotated[str | None, typer.Option(help="which of its tasks")] = None,
    config: OwnConfig = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", show_default="where runs look for it", help="file of the tokens"
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1, show_default="all; embedded sets: 2000", help="training images to learn from"
        ),
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, show_default="3001; embedded sets: 400")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, show_default="64; embedded sets: 16")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, show_default="1e-4; embedded sets: 1e-2")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Threads = None,
    data_root: DataRoot = None,
) -> None:
    """Learn the words that `time` uses for a task, from what its classifier says.

    Once for a data set and classifier; interrupted at any moment, the same command goes on. The
    sets that ship have theirs.

    Examples:

      vcebench prepare time --dataset synthfaces --task age

      vcebench prepare time --config mine.toml
    """
    import torch

    from vcebench.errors import UserError, user_errors
    from vcebench.settings.custom import read_custom
    from vcebench.training.tokens import (
        of_custom,
        of_dataset,
        prepare_time,
        settings_of,
        usual_images,
    )

    if (dataset is None) == (config is None):
        raise UserError("say of what: --dataset ID, or --config FILE.toml for your own")
    if threads is not None:
        torch.set_num_threads(threads)
    with user_errors():
        if config is not None:
            subject = of_custom(read_custom(config)[0], output)
        else:
            subject = of_dataset(str(dataset), task, output, data_root)
        settings = settings_of(subject.name, iterations, batch_size, rate, seed)
        path = prepare_time(subject, settings, images or usual_images(subject))
    if config is not None:
        say(f'runs find it as tokens = "{path.name}" under [latent]')
    typer.echo(str(path))
