"""Parts of a run that know nothing of each other, each in a folder of its own.

Shard i of n explains the images i, i + n, i + 2n, … An image's bits do not depend on the images
beside it, so any number of shards makes the same rows; `vcebench.jobs.merging` joins them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from vcebench.data.base import ImageSet
from vcebench.errors import UserError
from vcebench.running.assemble import networks_of
from vcebench.running.engines.base import Launcher
from vcebench.running.progress import Progress
from vcebench.running.runner import run
from vcebench.settings.config import RunConfig

SLURM_TASK = "SLURM_ARRAY_TASK_ID"
_SUFFIX = re.compile(r"-shard-\d+-of-\d+$")


def parse_shard(text: str, environment: Mapping[str, str]) -> tuple[int, int]:
    """(i, n) of "i/n", or of "/n" in a Slurm array, whose task number is i then.

    Raises:
        UserError: neither of both, or i is not in 0 … n - 1.
    """
    first, slash, count = text.partition("/")
    if slash and not first.strip():
        first = environment.get(SLURM_TASK, "")
        if not first:
            raise UserError(f"--shard {text}: {SLURM_TASK} is not set; say which, e.g. 0{text}")
    try:
        i, n = int(first), int(count)
    except ValueError:
        raise UserError(f"--shard is {text!r}; write i/n, e.g. 0/8 … 7/8") from None
    if not 0 <= i < n:
        raise UserError(
            f"shard {i} of {n} does not exist; they are counted from 0 to {max(n, 1) - 1} "
            f"(in Slurm: --array=0-{max(n, 1) - 1})"
        )
    return i, n


def shard_folder(path: Path, shard: tuple[int, int]) -> Path:
    """Where a shard of the run at `path` lies: beside it."""
    return path.with_name(f"{path.name}-shard-{shard[0]}-of-{shard[1]}")


def undivided_folder(path: Path) -> Path:
    """Where the run lies that the shard at `path` is a part of."""
    return path.with_name(_SUFFIX.sub("", path.resolve().name))


def run_shard(
    config: RunConfig,
    images: ImageSet,
    seeds: int,
    output: Path,
    threads: int | None = None,
    progress: Callable[[RunConfig], Progress] = Progress,
    data_root: Path | None = None,
    launch: Launcher | None = None,
) -> Path:
    """Make or continue one shard of a run, without its metrics; returns the shard's folder.

    Args:
        config: with its shard.
        output: folder of the undivided run; several seeds lie in sub-folders seed-<s>.
        images, seeds, threads, progress, data_root, launch: see `vcebench.jobs.session.run_seeds`.

    Raises:
        UserError, StoppedError: see `vcebench.running.runner.run`.
    """
    if config.shard is None:
        raise UserError("this configuration has no shard; give one, e.g. --shard 0/8")
    folder = shard_folder(output, config.shard)
    bundle = networks_of(config)
    for seed in range(config.seed, config.seed + seeds):
        one = config.model_copy(update={"seed": seed})
        path = folder / f"seed-{seed}" if seeds > 1 else folder
        run(one, images, path, bundle, threads, progress, data_root, launch)
    return folder
