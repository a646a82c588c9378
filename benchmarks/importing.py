"""What an import of many pairs takes: time, and peak memory, without networks.

    python -m benchmarks.importing [--pairs 20000] [--size 128] [--ending jpg]

Pictures are noise at a quarter of the size, enlarged: about as hard to compress as photographs. A
few of them are written under many names, which costs an import what as many different ones cost.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.peak import peak_since_reset, reset_peak
from vcebench.jobs.importing import ImportRequest, import_folder

DIFFERENT = 64
TARGET_SECONDS, TARGET_MIB = 180, 1536


def picture(number: int, size: int, ending: str) -> bytes:
    """A file of that ending."""
    coarse = np.random.default_rng(number).integers(0, 256, (size // 4, size // 4, 3), np.uint8)
    buffer = io.BytesIO()
    enlarged = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    enlarged.save(buffer, {"jpg": "JPEG", "png": "PNG"}[ending])
    return buffer.getvalue()


def written(folder: Path, pairs: int, size: int, ending: str) -> Path:
    """A folder of pairs with their list."""
    files = [picture(number, size, ending) for number in range(2 * DIFFERENT)]
    kinds = ("inputs", "counterfactuals")
    for offset, kind in enumerate(kinds):
        (folder / kind).mkdir(parents=True)
        for n in range(pairs):
            content = files[2 * (n % DIFFERENT) + offset]
            (folder / kind / f"{n:07d}.{ending}").write_bytes(content)
    lines = [",".join(f"{k}/{n:07d}.{ending}" for k in kinds) + ",1,0,1,0" for n in range(pairs)]
    head = "input,counterfactual,label,target,prediction,cf_prediction"
    (folder / "pairs.csv").write_text("\n".join([head, *lines]) + "\n")
    return folder


def measured(pairs: int, size: int, ending: str, threads: int | None) -> dict[str, object]:
    """All figures, by name."""
    with tempfile.TemporaryDirectory(prefix="vcebench-") as place:
        source = written(Path(place) / "foreign", pairs, size, ending)
        request = ImportRequest(
            path=source,
            dataset="celeba",
            judge=False,
            output=Path(place) / "run",
            threads=threads,
        )
        reset_peak()
        clock, spent = time.perf_counter(), time.process_time()
        report = import_folder(request)
        seconds, cpu = time.perf_counter() - clock, time.process_time() - spent
        peak = peak_since_reset()
        stored = sum(f.stat().st_size for f in (Path(place) / "run").rglob("*") if f.is_file())
    return {
        "pairs": report.images,
        "left out": len(report.left_out),
        "pixels": f"{size}x{size}, {ending}",
        "seconds": round(seconds, 1),
        "CPU seconds": round(cpu, 1),
        "peak MiB, libraries included": round(peak),
        "run folder, MiB": round(stored / 2**20),
        "within 3 minutes": seconds <= TARGET_SECONDS,
        "within 1.5 GB": peak <= TARGET_MIB,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--ending", choices=["jpg", "png"], default="jpg")
    parser.add_argument("--threads", type=int, default=None)
    asked = parser.parse_args()
    print(json.dumps(measured(asked.pairs, asked.size, asked.ending, asked.threads), indent=2))
