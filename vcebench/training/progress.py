"""How far a training is: a bar on a terminal, lines otherwise, and lines in a log file besides."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

FIRST, LATER = 5, 60
"""Seconds to the first line, and between lines: whoever waits for hours wants to know that soon."""

Told = Callable[[int, float], None]
"""Told after a step: how many are done, and the loss."""


@contextmanager
def told(name: str, steps: int, show: bool, log: Path | None = None) -> Iterator[Told]:
    """What is told of every step's end, and tells people.

    Args:
        name: of what is trained.
        steps: all of them.
        show: on stderr.
        log: file to which lines are added.
    """
    with ExitStack() as opened:
        ways: list[Told] = []
        if show and sys.stderr.isatty():
            ways.append(opened.enter_context(_bar(name, steps)))
        elif show:
            ways.append(_lines(name, steps, lambda line: say(line, True)))
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context(log.open("a", encoding="utf-8", buffering=1))
            ways.append(_lines(name, steps, lambda line: print(line, file=file)))

        def tell(step: int, loss: float) -> None:
            for way in ways:
                way(step, loss)

        yield tell


def say(line: str, show: bool) -> None:
    """A line on stderr, if anything is shown."""
    if show:
        print(line, file=sys.stderr, flush=True)


def _lines(name: str, steps: int, write: Callable[[str], None]) -> Told:
    every = max(1, steps // 40)
    begun, first, said = time.monotonic(), -1, 0.0

    def tell(step: int, loss: float) -> None:
        nonlocal first, said
        first = step - 1 if first < 0 else first
        now = time.monotonic() - begun
        late = now - said >= (LATER if said else FIRST)
        if step % every == 0 or step == steps or late:
            said = now
            left = now / (step - first) * (steps - step) / 60
            rest = f", {left:.0f} min left" if left >= 1 else ""
            write(f"{name}: step {step}/{steps}, loss {loss:.4f}{rest}")

    return tell


@contextmanager
def _bar(name: str, steps: int) -> Iterator[Told]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
    )
    with Progress(
        *columns,
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task(name, total=steps, loss=math.nan)
        yield lambda step, loss: progress.update(task, completed=step, loss=loss)
