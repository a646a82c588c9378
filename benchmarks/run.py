"""All performance figures of the package in one table.

    python benchmarks/run.py [--only PART …] [--quick] [--repeats N] [--output FILE.md]

Every figure is a ratio of two medians that were measured in turn in this run, or says what else it
is. The floor comes first: operations of a network evaluation over this machine's matrix rate. Run
it on a machine that does nothing else; docs/performance.md explains the figures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

# The folder above is not on the path when a file is run; installed packages come first.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks import against, evaluating, floor, overhead, peak, tiers
from benchmarks.figures import Figure, table
from benchmarks.machine import Machine, describe
from benchmarks.setting import QUICK, Scale
from vcebench.models.memory import keep_freed_memory

PARTS: dict[str, Callable[[Scale, Machine], list[Figure]]] = {
    "floor": floor.figures,
    "overhead": lambda scale, _: overhead.figures(scale),
    "reference": lambda scale, _: against.figures(scale),
    "precision": lambda scale, _: tiers.figures(scale),
    "evaluation": lambda scale, _: evaluating.figures(scale),
    "memory": lambda scale, _: peak.figures(scale),
}

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
"""Marks in docs/performance.md between which the table stands."""


def measure(parts: list[str], scale: Scale) -> str:
    """The table of some parts, with the machine above and the command below, as Markdown."""
    started = time.perf_counter()
    machine = describe(max(5, scale.repeats))
    print(machine, file=sys.stderr)
    found: list[Figure] = []
    for name in parts:
        print(f"{name} …", file=sys.stderr)
        begun = time.perf_counter()
        found += PARTS[name](scale, machine)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    took = (time.perf_counter() - started) / 60
    return (
        f"{machine}.\n\n"
        f"{scale.dataset}, batch {scale.batch_size}, {scale.threads} threads, medians of "
        f"{scale.repeats} in turn; {took:.0f} minutes in all.\n\n{table(found)}\n"
    )


def write(path: Path, text: str) -> None:
    """The text into a file; between its two marks if it has them."""
    before = path.read_text() if path.exists() else ""
    begin, middle, rest = before.partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{begin}{middle}\n\n{text}\n{end}{after}" if end else text)


def main(arguments: list[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="these parts only")
    parser.add_argument("--quick", action="store_true", help="try it out; figures mean nothing")
    parser.add_argument("--repeats", type=int, help="measurements a median is taken of")
    parser.add_argument(
        "--output", type=Path, help="also write it to this file, between its marks if it has them"
    )
    asked = parser.parse_args(arguments)
    scale = QUICK if asked.quick else Scale()
    if asked.repeats is not None:
        scale = replace(scale, repeats=asked.repeats)
    keep_freed_memory()
    text = measure(asked.only or list(PARTS), scale)
    print(text, end="")
    if asked.output is not None:
        write(asked.output, text)


if __name__ == "__main__":
    main()
