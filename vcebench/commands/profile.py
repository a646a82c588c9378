"""vcebench profile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import (
    METHOD,
    DataRoot,
    Device,
    Form,
    Format,
    OwnConfig,
    Settings,
    Threads,
    Tier,
    assignments,
    say,
)
from vcebench.errors import UserError


def profile(
    dataset: Annotated[
        str | None, typer.Option(help="id of a data set: `vcebench list datasets`")
    ] = None,
    method: Annotated[
        str | None, typer.Option(show_default="all of Table 7", help="id of a method")
    ] = None,
    config: OwnConfig = None,
    task: Annotated[str | None, typer.Option(help="what is flipped; the set's first task")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, show_default="20; for Table 7 on a GPU 1,000", help="images"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="images in a batch")] = 5,
    tau: Annotated[
        int | None, typer.Option(min=1, help="τ, steps of the reverse loop", rich_help_panel=METHOD)
    ] = None,
    settings: Settings = None,
    runs: Annotated[Path, typer.Option(help="folder of the run folders")] = Path("runs"),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default="in --runs, as by run", help="run folder"),
    ] = None,
    device: Annotated[Device, typer.Option(help="where the networks run")] = Device.auto,
    precision: Annotated[Tier, typer.Option(help="as in `vcebench run`")] = Tier.exact,
    threads: Threads = None,
    data_root: DataRoot = None,
    form: Format = Form.github,
) -> None:
    """Show where the time of a run goes, its evaluations and its peak memory.

    The run is an ordinary one, made with clocks around the networks, and stays in its folder with a
    profile.json. Without --method, all methods of the efficiency table are run in batches of 5,
    each in a process of its own: on a GPU over the papers' 1,000 images, with PyTorch's
    max_memory_allocated; on a CPU over 20. `vcebench table 7` then has its measured rows.

    Examples:

      vcebench profile --dataset digits --method maskdime

      vcebench profile --dataset digits --method rcsb-c --set moves=50

      vcebench profile --dataset synthfaces && vcebench table 7 --dataset synthfaces

      vcebench profile --dataset celeba --device cuda --precision fp16

      vcebench profile --config mine.toml
    """
    from vcebench.formats import Table
    from vcebench.jobs.profile import CPU_IMAGES, profiled, table_profiles
    from vcebench.settings.request import Request, resolve, with_custom

    if dataset is None and config is None:
        raise UserError("say what to profile: --dataset ID, or --config FILE.toml for your own")
    asked = assignments(settings or []) | ({} if tau is None else {"tau": tau})
    if method is None and config is None:
        if asked:
            raise UserError("--tau and --set are settings of one method; say --method too")
        assert dataset is not None
        found = table_profiles(
            dataset, limit, runs, _execute, threads, data_root, device.value, precision.value
        )
    else:
        request = Request(
            method=method or "",
            dataset=dataset or "",
            task=task,
            limit=limit or CPU_IMAGES,
            batch_size=batch_size,
            settings=asked,
            device=device.value,
            precision=precision.value,
            data_root=data_root,
        )
        complete, images = resolve(request if config is None else with_custom(request, config))
        folder = output or runs / complete.folder_name()
        found = [profiled(complete, images, folder, threads, data_root)]
        say(f"run folder: {folder}")
    for line in dict.fromkeys(f"peak MiB: {one.memory_of}" for one in found):
        say(line)
    typer.echo(Table([one.row() for one in found]).render(form.value))


def _execute(words: Sequence[str]) -> int:
    line = [sys.executable, "-m", "vcebench.cli", *words]
    say(f"vcebench {' '.join(words)}")
    return subprocess.run(line, stdout=subprocess.DEVNULL, check=False).returncode
