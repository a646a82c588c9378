"""What `vcebench check --config` takes for a large folder of somebody's own images.

    python -m benchmarks.checking_own [--images 10000] [--side 128]

Half of them are PNG, half JPEG files; some are cut off, and have to be found. Processor time stands
beside wall time, so that it means something on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from vcebench.data.files import Geometry
from vcebench.data.folder import FolderSet, folder_set
from vcebench.data.listing import list_folder
from vcebench.jobs.checkingown import damaged
from vcebench.settings.custom import task_of

TARGET = 20.0
"""Seconds that the check of 10,000 files may take."""

CUT = 100
"""Every so many-th file ends too early."""

_DIFFERENT = 20


def made(folder: Path, count: int, side: int) -> int:
    """A folder of two classes; returns how many of its files are damaged."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, side)[None, :, None]
    contents = []
    for number in range(_DIFFERENT):
        noise = rng.integers(0, 50, (side, side, 3))
        path = folder / f"sample-{number}.{'png' if number % 2 else 'jpg'}"
        Image.fromarray((ramp + noise).astype(np.uint8)).save(path)
        contents.append((path.suffix, path.read_bytes()))
        path.unlink()
    for name in ("bar", "disc"):
        (folder / name).mkdir()
    for number in range(count):
        suffix, content = contents[number % _DIFFERENT]
        whole = len(content) if number % CUT else len(content) // 2
        name = f"{('bar', 'disc')[number % 2]}/{number:06d}{suffix}"
        (folder / name).write_bytes(content[:whole])
    return -(-count // CUT)


def opened(folder: Path, side: int) -> FolderSet:
    """The folder as a run lists it."""
    listing = list_folder(folder, ("bar", "disc"))
    return folder_set("own", task_of(listing.names), folder, listing, Geometry(side, side))


def measured(count: int, side: int) -> dict[str, float | bool]:
    """All figures, by name."""
    with tempfile.TemporaryDirectory(prefix="vcebench-") as place:
        cut = made(Path(place), count, side)
        clock, processor = time.perf_counter(), time.process_time()
        images = opened(Path(place), side)
        listed = time.perf_counter() - clock
        found = sum(1 for _ in damaged(images))
        seconds, processor = time.perf_counter() - clock, time.process_time() - processor
    return {
        "images": count,
        "listing, s": listed,
        "listing and check, s": seconds,
        "listing and check, CPU s": processor,
        "target for 10,000, s": TARGET,
        "met": seconds <= TARGET * count / 10_000,
        "damaged files": cut,
        "of them found": found,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=128)
    asked = parser.parse_args()
    print(json.dumps(measured(asked.images, asked.side), indent=2))
