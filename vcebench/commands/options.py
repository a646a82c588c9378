"""Options that several commands share, and the reading of their values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vcebench.errors import UserError

if TYPE_CHECKING:
    from vcebench.running.engines.base import Launcher


class Form(StrEnum):
    """How a table is printed."""

    github = "github"
    csv = "csv"
    json = "json"
    latex = "latex"


class Tier(StrEnum):
    """Precision of the networks."""

    exact = "exact"
    fast = "fast"
    bf16 = "bf16"
    fp16 = "fp16"


class Pictures(StrEnum):
    """File format of the images of a run."""

    png = "png"
    jpeg = "jpeg"


class Explained(StrEnum):
    """Which classifier is explained."""

    task = "task"
    random = "random"
    permuted = "permuted"


class EngineName(StrEnum):
    """Who executes a run."""

    local = "local"
    ray = "ray"


class Device(StrEnum):
    """Where the networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Format = Annotated[Form, typer.Option("--format", help="how to print the table on stdout")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, show_default="all", help="CPU threads; the images do not depend on it"),
]
DataRoot = Annotated[
    Path | None, typer.Option(help="folder of a data set that does not ship with the package")
]

OwnConfig = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.toml", help="a task of your own, see docs/own-data.md"),
]

METHOD = "Settings of the method"
"""Panel of the help for what makes a method other than its preset."""

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="any other setting: `vcebench list methods --format json` shows them",
        rich_help_panel=METHOD,
    ),
]

_SCALE = "On several machines (docs/scaling.md)"
Engine = Annotated[
    EngineName,
    typer.Option(
        help="local: this machine, all its GPUs; ray: workers of a Ray cluster, same result",
        rich_help_panel=_SCALE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default="one for every GPU or CPU",
        help="with --engine ray: number of workers",
        rich_help_panel=_SCALE,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        show_default="one is started here",
        help="with --engine ray: a running cluster, e.g. auto or HOST:6379",
        rich_help_panel=_SCALE,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="only images I, I + N, I + 2N, …, from 0/N on; /N takes I from SLURM_ARRAY_TASK_ID; "
        "`vcebench merge` joins them",
        rich_help_panel=_SCALE,
    ),
]


def launcher(
    engine: EngineName, workers: int | None, address: str | None, threads: int | None
) -> Launcher:
    """Who starts the engine. Raises `UserError` if it is not installed, before anything is done."""
    if engine is EngineName.ray:
        from vcebench.running.engines.ray import Ray, import_ray

        import_ray()
        return Ray(workers, address)
    if workers is not None or address is not None:
        raise UserError("--workers and --address go with --engine ray")
    from vcebench.running.engines.local import Local

    return Local(threads)


def numbers(text: str, option: str) -> list[float]:
    """The numbers in "8,10,15"; raises `UserError` for anything else."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{option} is {text!r}; give numbers such as 8,10,15") from None


_TIME = re.compile(r"(?:(\d*\.?\d+)h)?(?:(\d*\.?\d+)m)?(?:(\d*\.?\d+)s)?")
_LONGEST = 10**8
"""Seconds, three years: a longer time is a slip."""


def duration(text: str, option: str) -> float:
    """Seconds of a time such as "90s", "20m", "1.5h" or "1h30m"; raises `UserError` for others.

    >>> duration("1.5h", "--budget"), duration("1h30m", "--budget")
    (5400.0, 5400.0)
    """
    found = _TIME.fullmatch(text.strip().lower())
    parts = [0.0] * 3 if found is None else [float(part or 0) for part in found.groups()]
    seconds = 3600 * parts[0] + 60 * parts[1] + parts[2]
    if not 0 < seconds < _LONGEST:
        raise UserError(f"{option} is {text!r}; write a time such as 90s, 20m, 1.5h or 1h30m")
    return seconds


def assignments(pairs: list[str]) -> dict[str, Any]:
    """Settings from NAME=VALUE; values are numbers, true, false, null, or words."""
    settings = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UserError(f"--set {pair!r} is no assignment; write --set name=value")
        try:
            settings[name.strip().replace("-", "_")] = json.loads(text)
        except ValueError:
            settings[name.strip().replace("-", "_")] = text.strip()
    return settings


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's stderr; what is yielded is told (done, total)."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def installed() -> None:
    """Make metrics and data sets of installed packages known; those that fail are named."""
    from vcebench.settings.installed import load_installed

    for complaint in load_installed():
        say(complaint)


def say(line: str) -> None:
    """A line for people, on stderr: stdout is for results."""
    typer.echo(line, err=True)
