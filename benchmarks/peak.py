"""(e) Peak memory by number of images, and beside the reference loop's; each in its own process.

Resident memory never falls, so every length of run has a process of its own:

    python -m benchmarks.peak ours|reference IMAGES TAU BATCH DATASET
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.figures import Figure, ratio
from benchmarks.overhead import silent
from benchmarks.reference import Reference
from benchmarks.setting import Scale, setting
from vcebench.running.cost import peak_memory
from vcebench.running.runner import run

ROOT = Path(__file__).resolve().parents[1]


def main(who: str, images: int, tau: int, batch_size: int, dataset: str) -> None:
    """Explain some images and print the peak of this process's resident memory in MiB."""
    torch.set_num_threads(1)
    scale = replace(Scale(), dataset=dataset, batch_size=batch_size)
    given = setting(scale, images, tau=tau, rungs=(8.0,))
    reset_peak()
    if who == "ours":
        with tempfile.TemporaryDirectory(prefix="vcebench-") as folder:
            run(given.config, given.images, Path(folder) / "run", given.bundle, 1, silent)
    else:
        tries = given.tries(images)
        Reference(given).explain(given.stacked(images), [one.item.id for one in tries])
    print(peak_since_reset())


def reset_peak() -> None:
    """Forget what loading libraries and networks took at its height, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_since_reset() -> float:
    """Peak resident memory in MiB since the reset, or of the whole process elsewhere."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    return peak_memory(torch.device("cpu"))[0]


def peak(who: str, images: int, tau: int, scale: Scale) -> float:
    """The peak of one such process."""
    words = [who, str(images), str(tau), str(scale.batch_size), scale.dataset]
    line = [sys.executable, "-m", "benchmarks.peak", *words]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)} failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout)


def figures(scale: Scale) -> list[Figure]:
    """All lines of this part; runs of different length in turn."""
    fewest, most = min(scale.memory_images), max(scale.memory_images)
    runs = {("ours", n): (n, scale.memory_tau) for n in scale.memory_images}
    runs |= {(who, 0): (fewest, scale.tau) for who in ("ours", "reference")}
    found: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    for _ in range(scale.repeats):
        for (who, key), (images, tau) in runs.items():
            found[who, key].append(peak(who, images, tau, scale))
    mib = {key: statistics.median(values) for key, values in found.items()}
    each = ", ".join(f"{n} images {mib['ours', n]:.0f} MiB" for n in scale.memory_images)
    flat = ratio(
        "e",
        f"peak memory of {most} images / of {fewest}",
        mib["ours", most] / mib["ours", fewest],
        at_most=1.05,
        note=f"{each}; libraries included; one batch of {scale.batch_size}, τ {scale.memory_tau}",
    )
    beside = ratio(
        "e",
        "peak memory of ours / of the reference loop",
        mib["ours", 0] / mib["reference", 0],
        at_most=1.0,
        note=f"{mib['ours', 0]:.0f} / {mib['reference', 0]:.0f} MiB; {fewest} images, "
        f"one batch of {scale.batch_size}, τ {scale.tau}",
    )
    return [flat, beside]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
