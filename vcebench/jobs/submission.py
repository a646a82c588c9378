"""The shards of a run as jobs of a cluster, through submitit."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcebench.errors import UserError, one_line


@dataclass(frozen=True)
class Resources:
    """What a job asks the cluster for; memory in GB, `at_once` None for all jobs together."""

    partition: str | None = None
    minutes: int = 240
    gpus: int = 0
    cpus: int = 4
    memory: int = 16
    at_once: int | None = None


@dataclass(frozen=True)
class ShardJob:
    """What a job does: `vcebench run` with its shard, in the folder it was submitted from.

    call: the command line: takes its words, returns the exit code.
    arguments: what `vcebench run` is given.
    output: folder of the undivided run.
    count: number of shards.
    """

    call: Callable[[Sequence[str]], int]
    arguments: tuple[str, ...]
    output: str
    count: int

    def __call__(self, number: int) -> int:
        """Make shard `number`. Raises RuntimeError if the command fails."""
        shard = f"{number}/{self.count}"
        code = self.call(["run", *self.arguments, "--output", self.output, "--shard", shard])
        if code:
            raise RuntimeError(f"shard {shard} ended with exit code {code}")
        return number

    def checkpoint(self, number: int) -> Any:
        """A job that is cut off is submitted again as it was: its folder knows what is done."""
        return _submitit().helpers.DelayedSubmission(self, number)


def check(arguments: Sequence[str], program: Any) -> None:
    """Refuse options that `vcebench run` does not have, before anything is submitted.

    program: the command line as a click group.
    """
    for option in ("--shard", "--output"):
        if any(word == option or word.startswith(f"{option}=") for word in arguments):
            raise UserError(f"{option} is set for every job; give --output before the --")
    program.commands["run"].make_context("vcebench run", list(arguments))


def submit_array(
    call: Callable[[Sequence[str]], int],
    arguments: Sequence[str],
    count: int,
    output: Path,
    resources: Resources,
    local: bool = False,
) -> list[Any]:
    """Submit one job for each of `count` shards, each a `call` of the command line.

    Returns submitit's jobs.

    Raises:
        UserError: submitit is not installed, there is no Slurm here, or it refuses.
    """
    submitit = _submitit()
    logs = output.with_name(f"{output.name}-logs")
    asked: dict[str, Any] = {
        "timeout_min": resources.minutes,
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus,
        "mem_gb": resources.memory,
        "name": f"vcebench-{output.name}",
    }
    if not local:
        asked |= {"slurm_array_parallelism": resources.at_once or count}
        asked |= {"slurm_partition": resources.partition} if resources.partition else {}
    # Jobs start where they were submitted, so that relative paths mean the same.
    job = ShardJob(call, tuple(arguments), os.fspath(output.resolve()), count)
    try:
        executor = submitit.AutoExecutor(
            folder=logs, cluster="local" if local else "slurm", slurm_max_num_timeout=100
        )
        executor.update_parameters(**asked)
        return list(executor.map_array(job, range(count)))
    except (RuntimeError, OSError, submitit.core.utils.FailedJobError) as error:
        raise UserError(
            f"the jobs could not be submitted ({one_line(error)}); --local runs them here"
        ) from error


def wait_for(jobs: Sequence[Any]) -> list[str]:
    """Wait for all jobs; one line for each that failed."""
    failed = []
    for job in jobs:
        error = job.exception()
        if error is not None:
            lines = str(error).strip().splitlines()
            failed.append(lines[-1] if lines else type(error).__name__)
    return failed


def _submitit() -> Any:
    """The package submitit. Raises `UserError` without it."""
    try:
        return importlib.import_module("submitit")
    except ImportError as error:
        raise UserError("vcebench submit needs submitit: pip install 'vcebench[slurm]'") from error
