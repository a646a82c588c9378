"""A run with clocks: seconds by phase, evaluations, peak memory; Table 7's runs among others."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from vcebench.data.base import ImageSet
from vcebench.errors import UserError
from vcebench.evaluating.evaluation import evaluate
from vcebench.folders import inside
from vcebench.folders.runfolder import MANIFEST, RunFolder
from vcebench.folders.store import writing
from vcebench.formats import dump
from vcebench.jobs import session
from vcebench.jobs.plan import existing
from vcebench.jobs.plan import plan as plan_of
from vcebench.jobs.sweep import output_of
from vcebench.models.bundle import Bundle
from vcebench.results.measurements import stored_runs
from vcebench.running import cost
from vcebench.running.assemble import networks_of
from vcebench.running.clock import Clock
from vcebench.running.progress import Progress
from vcebench.running.runner import run
from vcebench.running.timed import FILES, PHASES, TimedEngine
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig
from vcebench.settings.request import resolve_device

PROFILE = "profile.json"
EFFICIENCY = "7"  # the paper's table of time and memory
PUBLISHED_IMAGES, CPU_IMAGES = 1000, 20
"""Images that the papers measure time and memory on, and what a CPU does in minutes."""


@dataclass(frozen=True)
class Profile:
    """Where the time of a run went.

    Attributes:
        method, tau, images, tries: what was run, and how many tries the images needed.
        nfe: evaluations of the prior per image.
        seconds: wall time of the run.
        phases: phase → seconds, summed over threads.
        memory_mib, memory_of: peak memory, and what was counted.
        threads: batches at a time.
        backward: backward passes through the prior per image; None in profiles that did not count.
    """

    method: str
    tau: int
    images: int
    tries: int
    nfe: float
    seconds: float
    phases: dict[str, float]
    memory_mib: float
    memory_of: str
    threads: int
    backward: float | None = None

    def row(self) -> dict[str, Any]:
        """A row for a table: seconds by phase and image, and their shares in percent."""
        total = sum(self.phases.values())
        shares = {f"{p}, %": round(100 * self.phases[p] / total, 1) for p in PHASES}
        each = self.seconds / self.images
        head = {
            "method": self.method,
            "τ": self.tau,
            "n": self.images,
            "tries": self.tries,
            "NFE": self.nfe,
            "backward": self.backward,
        }
        return {**head, "s/image": each, **shares, "peak MiB": self.memory_mib}


def profile(
    config: RunConfig,
    images: ImageSet,
    bundle: Bundle,
    output: Path,
    threads: int | None = None,
    data_root: Path | None = None,
) -> Profile:
    """Make a run with clocks. The run is like any other, and can be evaluated.

    Args:
        config, images, bundle: of the run.
        output: run folder; one that does not exist or holds no row yet.
        threads: batches at a time on a CPU.
        data_root: see `vcebench.running.runner.run`.
    """
    clock = Clock(torch.device(config.device))
    engines: list[TimedEngine] = []

    def launch(config: RunConfig, worker: Worker, on_step: Callable[[int], None]) -> TimedEngine:
        cost.reset_peak_memory(worker.device)
        engine = TimedEngine(worker, clock, threads, on_step)
        engines.append(engine)
        return engine

    started = time.perf_counter()
    with clock.phase(FILES):
        folder = run(config, images, output, bundle, threads, Progress, data_root, launch)
    seconds = time.perf_counter() - started
    memory, memory_of = engines[0].peak_memory()
    rows = folder.rows()
    found = Profile(
        method=config.method,
        tau=int(config.settings.get("tau") or 0),
        images=len(rows),
        tries=sum(row.tries or 0 for row in rows),
        nfe=sum(row.nfe or 0 for row in rows) / len(rows),
        seconds=seconds,
        phases={name: clock.seconds.get(name, 0.0) for name in PHASES},
        memory_mib=memory,
        memory_of=memory_of,
        threads=threads or torch.get_num_threads(),
        backward=sum(row.backward or 0 for row in rows) / len(rows),
    )
    _keep(found, folder.path)
    return found


def profiled(
    config: RunConfig,
    images: ImageSet,
    output: Path,
    threads: int | None = None,
    data_root: Path | None = None,
) -> Profile:
    """The profile of a run, stored or made now; the run itself is made and evaluated with it.

    A run folder that holds rows made without clocks is left as it is; the profile then comes from
    a run into a temporary folder. Raises `UserError` if the folder is another configuration's.
    """
    if inside.exists(output, MANIFEST) and RunFolder(output).config().digest() != config.digest():
        raise UserError(f"{output} was made with another configuration; give another --output")
    if inside.exists(output, PROFILE):
        return stored(output)
    bundle = networks_of(config)
    if not (output.exists() and RunFolder(output).rows()):
        found = profile(config, images, bundle, output, threads, data_root)
        folder = RunFolder(output)
        session.keep(session.Result(folder, evaluate(folder, bundle, threads=threads)))
        return found
    with tempfile.TemporaryDirectory(prefix="vcebench-") as scratch:
        found = profile(config, images, bundle, Path(scratch) / "run", threads)
    _keep(found, output)
    return found


def table_profiles(
    dataset: str,
    limit: int | None,
    runs: Path,
    execute: Callable[[Sequence[str]], int],
    threads: int | None = None,
    data_root: Path | None = None,
    device: str = "auto",
    precision: str = "exact",
) -> list[Profile]:
    """Profiles of all runs of the efficiency table; those that lack are made, with their runs.

    Args:
        dataset: see `vcebench.jobs.plan.plan`.
        limit: images a row; None for as many as the papers take on a GPU, and for 20 on a CPU.
        runs: folder of the run folders.
        execute: runs a command line of ours in a process of its own (peak memory is a process's)
            and returns its exit code.
        threads, data_root, device, precision: of every run.

    Raises:
        UserError: a run failed; those before it are kept.
    """
    chosen = resolve_device(device)
    images = limit or (PUBLISHED_IMAGES if chosen == "cuda" else CPU_IMAGES)
    how = ["--device", chosen, "--precision", precision]
    found = []
    for wanted in plan_of(EFFICIENCY, dataset, images):
        stored_there = [
            run
            for run in stored_runs(runs)[0]
            if (run.config.device, run.config.precision) == (chosen, precision)
        ]
        run_there = existing(wanted, stored_there)
        path = (
            output_of(wanted, runs, data_root, chosen, precision)
            if run_there is None
            else run_there.path
        )
        if not inside.exists(path, PROFILE):
            words = [
                "profile",
                *wanted.arguments()[1:],
                "--output",
                str(path),
                "--format",
                "csv",
                *how,
            ]
            words += ["--threads", str(threads)] if threads else []
            words += ["--data-root", str(data_root)] if data_root else []
            if execute(words):
                raise UserError(f"stopped: {wanted.method} failed, its message is above")
        found.append(stored(path))
    return found


def stored(folder: Path) -> Profile:
    """The profile that a run folder holds. Raises `UserError` if it cannot be read."""
    try:
        return TypeAdapter(Profile).validate_json(inside.read(folder, PROFILE))
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{folder / PROFILE} cannot be read; remove it and profile again"
        ) from error


def _keep(found: Profile, folder: Path) -> None:
    """Write a profile into its run folder."""
    with writing(folder):
        inside.write_lasting(folder, PROFILE, (dump(asdict(found)) + "\n").encode())
