"""What digests cost: those of a run's inputs and files, and looking through 20,000 images.

    python -m benchmarks.digests [--images 20000]

Everything is processor time, so that it means something on a busy machine too.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from vcebench.data.registry import open_dataset
from vcebench.folders.damage import damages
from vcebench.folders.digests import file_digests, input_digest
from vcebench.folders.manifest import new_manifest
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import Finished, open_store
from vcebench.running.assemble import networks_of
from vcebench.running.progress import Progress
from vcebench.running.runner import run
from vcebench.settings.config import RunConfig
from vcebench.settings.request import Request, resolve

RUN = 16
"""Images of the run that is timed, at the settings of the preset."""

_CHUNK = 256


def made(path: Path) -> tuple[RunFolder, float]:
    """A run of the preset's MaskDiME on synthfaces, and its processor seconds an image."""
    config, images = resolve(Request("maskdime", "synthfaces", limit=RUN, device="cpu"))
    bundle = networks_of(config)

    def silent(config: RunConfig) -> Progress:
        return Progress(config, Console(file=io.StringIO()))

    started = time.process_time()
    folder = run(config, images, path, bundle, 1, silent)
    return folder, (time.process_time() - started) / RUN


def digesting(folder: RunFolder) -> float:
    """Processor seconds of one image's digests."""
    images = open_dataset("synthfaces", "smile", "test")
    rows = folder.rows()
    inputs = [images[row.index] for row in rows]
    files = [{name: (folder.path / name).read_bytes() for name in folder.files(r)} for r in rows]
    rounds = 50
    started = time.process_time()
    for _ in range(rounds):
        for example, contents in zip(inputs, files, strict=True):
            input_digest(example.image, example.label)
            file_digests(contents)
    return (time.process_time() - started) / (rounds * len(rows))


def copied(folder: RunFolder, path: Path, count: int) -> RunFolder:
    """A run folder of many images: those of a run, over and over under other names."""
    rows = folder.rows()
    files = [{name: (folder.path / name).read_bytes() for name in folder.files(r)} for r in rows]

    def one(number: int) -> Finished:
        row: Row = rows[number % len(rows)]
        id = f"copy-{number:06d}"
        renamed = {name.replace(row.id, id): c for name, c in files[number % len(rows)].items()}
        return Finished(replace(row, id=id, index=number), renamed)

    config = folder.config().model_copy(update={"limit": count})
    with open_store(path, new_manifest(config, {})) as store:
        for start in range(0, count, _CHUNK):
            store.commit([one(n) for n in range(start, min(start + _CHUNK, count))])
    return RunFolder(path)


def measured(count: int) -> dict[str, float]:
    """All figures, by name."""
    with tempfile.TemporaryDirectory(prefix="vcebench-") as place:
        folder, an_image = made(Path(place) / "run")
        digests = digesting(folder)
        many = copied(folder, Path(place) / "many", count)
        started, clock = time.process_time(), time.perf_counter()
        damaged = sum(1 for _ in damages(many))
        looking = time.process_time() - started
        seconds = time.perf_counter() - clock
    return {
        "images": count,
        "an image, CPU s": an_image,
        "its digests, CPU s": digests,
        "share of the run, %": 100 * digests / an_image,
        "digests of all, CPU s": count * digests,
        "vcebench check of all, CPU s": looking,
        "vcebench check of all, s": seconds,
        "check as a share of the run, %": 100 * looking / (count * an_image),
        "damaged": damaged,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    print(json.dumps(measured(parser.parse_args().images), indent=2))
