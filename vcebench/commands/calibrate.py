"""vcebench calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import Device, Form, Format, Threads, duration, say


def calibrate(
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE.toml", help="a task of your own"),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(show_default="the file's", help="id of a method; can be repeated"),
    ] = None,
    images: Annotated[int, typer.Option(min=2, help="images to try it on, at most")] = 16,
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="time for each method: 90s, 10m …")
    ] = "2m",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default="FILE-METHOD.png", help="picture to write"),
    ] = None,
    write: Annotated[bool, typer.Option(help="write the units into the file")] = True,
    device: Annotated[Device, typer.Option(help="where the networks run")] = Device.auto,
    threads: Threads = None,
    form: Format = Form.github,
) -> None:
    """Find how strongly to guide with your own classifier, and write it into the file.

    The unit is the smallest factor of the class gradient at which a method flips most images at its
    first try; units of one method do not fit another. The picture shows what every unit that was
    tried makes of some images: look at it before you believe a figure. A method whose walks are
    long is tried on fewer images, so that it takes two minutes (`--budget`). A run never calibrates
    by itself.

    Examples:

      vcebench calibrate --config mine.toml

      vcebench calibrate --config mine.toml --method maskdime --method fastdime --no-write

      vcebench calibrate --config mine.toml --method dime --budget 10m
    """
    import torch

    from vcebench.errors import UserError
    from vcebench.folders.images import write_atomic
    from vcebench.folders.store import writing
    from vcebench.formats import Table
    from vcebench.jobs.calibrating import calibrate as find
    from vcebench.settings.request import Request, resolve, with_custom
    from vcebench.settings.unitfile import with_units
    from vcebench.showing.pictures import png_bytes

    if output is not None and len(method or ()) > 1:
        raise UserError("-o names one picture; leave it away with several methods")
    if threads is not None:
        torch.set_num_threads(threads)
    rows, units, seconds = [], {}, duration(budget, "--budget")
    for name in method or [""]:
        request = with_custom(Request(name, "", device=device.value, skip_bad=True), config)
        complete, data = resolve(request)
        found = find(complete, data, images, say, seconds)
        place = output or config.with_name(f"{config.stem}-{complete.method}.png")
        with writing(place):
            write_atomic(place, png_bytes(found.sheet()))
        say(f"look at it: {place}")
        rows.append(found.row())
        units[found.preset] = found.chosen.unit
    if write:
        with writing(config):
            write_atomic(config, with_units(config.read_bytes(), units))
        say(f"written into {config}: the units of {', '.join(units)}")
    typer.echo(Table(rows).render(form.value))
