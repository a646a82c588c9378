"""Options that several commands share, and the reading of their values."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vcebench.errors import UserError


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


def numbers(text: str, option: str) -> list[float]:
    """The numbers in "8,10,15"; raises `UserError` for anything else."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{option} is {text!r}; give numbers such as 8,10,15") from None


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


def say(line: str) -> None:
    """A line for people, on stderr: stdout is for results."""
    typer.echo(line, err=True)
