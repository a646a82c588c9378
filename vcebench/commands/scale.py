"""vcebench merge, vcebench submit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import (
    DataRoot,
    Device,
    Form,
    Format,
    OwnConfig,
    Threads,
    installed,
    say,
)
from vcebench.errors import UserError

_CLUSTER = "What a job asks the cluster for"


def merge(
    shards: Annotated[
        list[Path], typer.Argument(metavar="SHARD…", help="folders of all shards of one run")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            show_default="the shards' name without -shard-I-of-N",
            help="run folder to make",
        ),
    ] = None,
    device: Annotated[
        Device | None, typer.Option(help="where the networks of the metrics run")
    ] = None,
    threads: Threads = None,
    config: OwnConfig = None,
    data_root: DataRoot = None,
    metrics: Annotated[bool, typer.Option(help="compute the metrics of the joined run")] = True,
    form: Format = Form.github,
) -> None:
    """Join the shards of a run, and print its row of metrics.

    Rows and pictures are those of an undivided run. The shards stay as they are; the run folder
    appears when it is complete. A shard that lacks images or was made otherwise is refused.

    Examples:

      vcebench merge runs/digits-3-8-maskdime-1f0e4f2a-shard-*

      vcebench merge runs/smile-shard-*-of-8 -o runs/smile --format json > row.json
    """
    from vcebench.commands.evaluate import print_results
    from vcebench.jobs.merging import merge as join
    from vcebench.jobs.session import measure_again
    from vcebench.settings.custom import read_custom
    from vcebench.settings.request import resolve_device

    where = None if device is None else resolve_device(device.value)
    installed()
    custom = None if config is None else read_custom(config)[0]
    folder, remarks = join(shards, output)
    for line in remarks:
        say(f"note: {line}")
    if not metrics:
        typer.echo(str(folder))
        return
    print_results(measure_again(folder, None, where, threads, custom, data_root=data_root), form)


def submit(
    context: typer.Context,
    arguments: Annotated[
        list[str], typer.Argument(metavar="-- RUN OPTIONS…", help="what `vcebench run` is given")
    ],
    array: Annotated[int, typer.Option(min=1, help="number of jobs, one shard each")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="run folder; shards and logs lie beside it")
    ],
    at_once: Annotated[
        int | None, typer.Option(min=1, show_default="all", help="jobs that may run together")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="processes on this machine, without a cluster")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="stay until all jobs have ended, and say which failed")
    ] = False,
    partition: Annotated[
        str | None, typer.Option(help="Slurm partition", rich_help_panel=_CLUSTER)
    ] = None,
    minutes: Annotated[
        int,
        typer.Option(min=1, help="time limit; a job cut off is resumed", rich_help_panel=_CLUSTER),
    ] = 240,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs a job", rich_help_panel=_CLUSTER)] = 0,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs a job", rich_help_panel=_CLUSTER)] = 4,
    memory: Annotated[
        int, typer.Option(min=1, help="GB of memory a job", rich_help_panel=_CLUSTER)
    ] = 16,
) -> None:
    """Run the shards of a run as a Slurm array, through submitit.

    Everything after -- goes to `vcebench run`. Job I of N makes shard I/N in OUTPUT-shard-I-of-N;
    its logs are in OUTPUT-logs. A job that Slurm cuts off or moves continues where it was. When all
    are done, `vcebench merge` joins them. Submitting again continues what is missing.

    Examples:

      vcebench submit --array 8 --gpus 1 -o runs/smile -- --method maskdime --dataset celeba

      vcebench submit --array 2 --local --wait -o runs/try -- --method maskdime --dataset digits
    """
    from vcebench.jobs.submission import Resources, check, submit_array, wait_for

    check(arguments, context.find_root().command)
    jobs = submit_array(
        context.obj,  # the command line itself, which the jobs call
        arguments,
        array,
        output,
        Resources(partition, minutes, gpus, cpus, memory, at_once),
        local=local,
    )
    typer.echo("\n".join(job.job_id for job in jobs))
    shards = f"{output}-shard-*-of-{array}"
    say(f"when all {array} jobs are done: vcebench merge {shards} -o {output}")
    if not wait:
        return
    failed = wait_for(jobs)
    if failed:
        raise UserError(
            f"{len(failed)} of {array} jobs failed, the first with: {failed[0]}; logs are in "
            f"{output}-logs, the same command continues"
        )
