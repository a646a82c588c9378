"""How every command grows with the number of images: seconds, memory, files, bytes, exponents.

    python -m benchmarks.growth [--images 250 1000 4000 20000] [--path FOLDER]

Every step is a process of its own in which the package is imported already, on one thread. Seconds
are processor time, so that they mean something on a busy machine too; memory is the peak of what
was resident. Images are those of synthfaces' training split (20,000). The method is the attack
`pgd` with one step, which costs next to nothing: what is left is what grows with any method.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from vcebench.cli import main
from vcebench.formats import Table

IMAGES = (250, 1000, 4000, 20_000)
MILLION = 1_000_000
RUN = (
    *("run", "--method", "pgd", "--dataset", "synthfaces", "--split", "train", "--tau", "1"),
    *("--threads", "1"),
)

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    [
        "vcebench.cli",
        "vcebench.jobs.session",
        "vcebench.jobs.compare",
        "vcebench.showing.report.build",
    ]
)


@dataclass(frozen=True)
class Step:
    """What one command cost: processor seconds, peak MiB, and what it left behind."""

    name: str
    images: int
    seconds: float
    memory: float
    files: int
    size: int


def steps(count: int, place: Path) -> Iterator[tuple[str, Sequence[str], Path]]:
    """Name, command and the folder it writes, of every step for that many images, in order.

    What `resume` costs is what it takes to see that every image is there.
    """
    run, site = place / "run", place / "site"
    shard, limit = f"{run}-shard-0-of-1", ("--limit", str(count))
    explain = (*RUN, *limit, "--output", str(run), "--shard", "0/1")
    yield "run", explain, Path(shard)
    yield "resume", explain, Path(shard)
    yield "merge", ("merge", shard, "--no-metrics", "-o", str(run)), run
    yield "evaluate", ("evaluate", str(run), "--threads", "1"), run
    yield "evaluate again", ("evaluate", str(run), "--threads", "1"), run
    yield "the same run again", (*RUN, *limit, "--output", str(run)), run
    yield "check", ("check", str(run)), run
    yield "compare", ("compare", str(run), str(run), "--threads", "1"), run
    yield "report", ("report", str(run), "-o", str(site)), site
    yield "table", ("table", "4", "--dataset", "synthfaces", "--runs", str(run)), run


def measured(count: int, place: Path) -> list[Step]:
    """The steps for that many images."""
    return [_step(name, count, words, folder) for name, words, folder in steps(count, place)]


def _step(name: str, count: int, words: Sequence[str], folder: Path) -> Step:
    receiver, sender = CHILDREN.Pipe(duplex=False)
    child = CHILDREN.Process(target=_carry_out, args=(words, sender))
    child.start()
    sender.close()
    try:
        seconds, memory = receiver.recv()
    except EOFError:
        raise SystemExit(f"vcebench {' '.join(words)} ended early") from None
    finally:
        child.join()
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"{count:,} images, {name}: {seconds:.2f} s", file=sys.stderr, flush=True)
    return Step(name, count, seconds, memory, len(files), size)


def _carry_out(words: Sequence[str], sender: Connection) -> None:
    """In the child: the command, and what it cost; nothing is sent if it fails."""
    started = time.process_time()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        code = main(words)
    if code == 0:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sender.send((time.process_time() - started, peak))


def exponent(counts: Sequence[int], values: Sequence[float]) -> float:
    """The power of the number of images by which values grow, a straight line through logarithms.

    What is there without any image flattens it: 1 is linear, 0 constant.
    """
    slope: float = np.polyfit(np.log(counts), np.log(np.maximum(values, 1e-9)), 1)[0]
    return slope


def a_million(counts: Sequence[int], values: Sequence[float]) -> float:
    """What a million images would cost: on from the largest number by the last two's growth."""
    (n, m), (a, b) = counts[-2:], values[-2:]
    return b + (b - a) / (m - n) * (MILLION - m)


def table(found: Sequence[Step]) -> Table:
    """One row a step: seconds by number of images, exponent, and memory, files, bytes at last."""
    rows = []
    for name in dict.fromkeys(step.name for step in found):
        line = sorted((s for s in found if s.name == name), key=lambda step: step.images)
        counts, seconds = [step.images for step in line], [step.seconds for step in line]
        last = line[-1]
        row: dict[str, object] = {"step": name}
        row |= {f"s at {step.images:,}": round(step.seconds, 2) for step in line}
        if len(line) > 1:
            row["exponent"] = round(exponent(counts, seconds), 2)
            row["h at a million"] = round(a_million(counts, seconds) / 3600, 2)
        row |= {"peak MiB": round(last.memory), "files": last.files}
        row["MiB on disk"] = round(last.size / 2**20, 1)
        rows.append(row)
    return Table(rows)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--path", type=Path, help="where the run folders are made")
    arguments = parser.parse_args()
    if arguments.path is not None:
        arguments.path.mkdir(parents=True, exist_ok=True)
    found: list[Step] = []
    for count in sorted(arguments.images):
        with tempfile.TemporaryDirectory(prefix="vcebench-", dir=arguments.path) as place:
            found += measured(count, Path(place))
        print(table(found).render("github"), flush=True)


if __name__ == "__main__":
    _main()
