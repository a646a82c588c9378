"""vcebench run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcebench.commands.evaluate import print_results
from vcebench.commands.options import (
    METHOD,
    Address,
    DataRoot,
    Device,
    Engine,
    EngineName,
    Explained,
    Form,
    Format,
    OwnConfig,
    Pictures,
    Settings,
    Shard,
    Threads,
    Tier,
    Workers,
    assignments,
    installed,
    launcher,
    numbers,
    say,
)
from vcebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vcebench.data.base import ImageSet
    from vcebench.running.engines.base import Launcher
    from vcebench.running.progress import Progress
    from vcebench.settings.config import RunConfig

_LOSS = "Guidance"
_RUN = "How it runs"

Number = float | None


def run(
    method: Annotated[
        str | None,
        typer.Option(
            help="id of a method: `vcebench list methods`; or your own, package.module:Name or "
            "./file.py:Name"
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="id of a data set: `vcebench list datasets`")
    ] = None,
    config: OwnConfig = None,
    task: Annotated[str | None, typer.Option(help="what is flipped; the set's first task")] = None,
    split: Annotated[
        str | None, typer.Option(show_default="the protocol's", help="part of the data set")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="images to explain, 0 for all; embedded sets: 64")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", show_default="runs/DATASET-TASK-METHOD-HASH", help="run folder"
        ),
    ] = None,
    guidance_scale: Annotated[
        Number, typer.Option(help="s, factor of the guidance gradient", rich_help_panel=METHOD)
    ] = None,
    top_k: Annotated[
        Number, typer.Option(help="k, share of pixels in the outer mask", rich_help_panel=METHOD)
    ] = None,
    rho: Annotated[
        Number, typer.Option(help="ρ, share of those in the inner mask", rich_help_panel=METHOD)
    ] = None,
    tau: Annotated[
        int | None, typer.Option(help="τ, steps of the reverse loop", rich_help_panel=METHOD)
    ] = None,
    settings: Settings = None,
    lambda_class: Annotated[
        str | None,
        typer.Option(
            show_default="8,10,15",
            help="λ_c, tried in turn until an image flips",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    lambda_perceptual: Annotated[
        Number, typer.Option(show_default="30", help="λ_p", rich_help_panel=_LOSS)
    ] = None,
    lambda_l1: Annotated[
        Number, typer.Option(show_default="0.05", help="λ_l", rich_help_panel=_LOSS)
    ] = None,
    log_probabilities: Annotated[
        bool, typer.Option(help="guide with -log σ instead of logits", rich_help_panel=_LOSS)
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="seed of the noise", rich_help_panel=_RUN)] = 0,
    seeds: Annotated[
        int, typer.Option(min=1, help="number of seeds; σ_L needs 5", rich_help_panel=_RUN)
    ] = 1,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="images in a batch", rich_help_panel=_RUN)
    ] = None,
    device: Annotated[
        Device, typer.Option(help="where the networks run", rich_help_panel=_RUN)
    ] = Device.auto,
    precision: Annotated[
        Tier,
        typer.Option(
            help="exact: float32; fast: TF32; bf16, fp16: networks under autocast",
            rich_help_panel=_RUN,
        ),
    ] = Tier.exact,
    threads: Threads = None,
    image_format: Annotated[
        Pictures,
        typer.Option(help="jpeg saves as the authors' scripts do", rich_help_panel=_RUN),
    ] = Pictures.png,
    classifier: Annotated[
        Explained,
        typer.Option(
            help="explain one of random weights, or trained on permuted labels, in its place: "
            "what `vcebench sanity` compares",
            rich_help_panel=_RUN,
        ),
    ] = Explained.task,
    trace: Annotated[
        int, typer.Option(min=0, help="keep all steps of that many images", rich_help_panel=_RUN)
    ] = 0,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="where images may change: cells, pixels, free-form:10-20, all, truth, part:NAME, "
            "or a folder of masks (docs/regions.md)",
            rich_help_panel=METHOD,
        ),
    ] = None,
    prompt_source: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="what images of the task's first class show, for methods that read prompts; "
            "those of the second go the other way (docs/latent.md)",
            rich_help_panel=METHOD,
        ),
    ] = None,
    prompt_target: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS", help="what those of the second class show", rich_help_panel=METHOD
        ),
    ] = None,
    data_root: DataRoot = None,
    dry_run: Annotated[
        bool,
        typer.Option(help="only say what would be done, and what it costs", rich_help_panel=_RUN),
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option(help="leave out damaged images, and count them", rich_help_panel=_RUN)
    ] = False,
    engine: Engine = EngineName.local,
    workers: Workers = None,
    address: Address = None,
    shard: Shard = None,
    name: Annotated[
        str | None,
        typer.Option(help="what tables call a method given by its place", rich_help_panel=METHOD),
    ] = None,
    form: Format = Form.github,
) -> None:
    """Explain the images of a data set, and print the row of metrics.

    Images, rows and metrics go to a run folder. Interrupted at any moment, the same command
    continues where it stopped.

    Examples:

      vcebench run --method maskdime --dataset digits

      vcebench run --method maskdime --dataset digits --task 4-9 --limit 32 --top-k 0.05

      vcebench run --method fastdime --dataset digits --seeds 5 --format json > row.json

      vcebench run --method maskdime --dataset synthfaces --region part:mouth

      vcebench run --config mine.toml --limit 8 --region masks

      vcebench run --method dime --dataset synthfaces --limit 0 --dry-run

      vcebench run --method maskdime --dataset synthfaces --engine ray --workers 8

      vcebench run --method maskdime --dataset synthfaces --shard 0/8

      vcebench run --method ldce-txt --dataset synthfaces --prompt-source "a photo of an old man" \
--prompt-target "a photo of a young man"

      vcebench run --method ./mine.py:explain --name mine --dataset synthfaces
    """
    from vcebench.jobs.checking import also_lacking
    from vcebench.jobs.session import run_seeds
    from vcebench.running.shards import parse_shard
    from vcebench.settings.installed import dataset_origin
    from vcebench.settings.request import Request, resolve, uncalibrated, with_custom

    installed()
    launch = launcher(engine, workers, address, threads)
    own = {"guidance_scale": guidance_scale, "top_k": top_k, "rho": rho, "tau": tau}
    loss = {"lambda_perceptual": lambda_perceptual, "lambda_l1": lambda_l1}
    guidance = {name: value for name, value in loss.items() if value is not None}
    if lambda_class is not None:
        guidance["lambda_class"] = numbers(lambda_class, "--lambda-class")  # type: ignore[assignment]
    request = Request(
        method=method or "",
        dataset=dataset or "",
        task=task,
        split=split,
        limit=limit,
        seed=seed,
        batch_size=batch_size,
        device=device.value,
        settings=assignments(settings or [])
        | {name: value for name, value in own.items() if value is not None},
        guidance=guidance | ({"use_logits": False} if log_probabilities else {}),
        precision=precision.value,
        image_format=image_format.value,
        trace=trace,
        data_root=data_root,
        skip_bad=skip_bad,
        classifier=classifier.value,
        shard=None if shard is None else parse_shard(shard, os.environ),
        region=region,
        name=name,
        prompts=_pair(prompt_source, prompt_target),
    )
    if config is not None:
        request = with_custom(request, config)
    try:
        complete, images = resolve(request)
    except UserError as error:
        raise UserError(f"{error}{also_lacking(dataset, data_root, error)}") from error
    elsewhere = complete.origin is not None or dataset_origin(complete.dataset) is not None
    if elsewhere and engine is not EngineName.local:
        raise UserError("what is from outside runs in this process: leave --engine away")
    hint = None
    if config is not None and (line := uncalibrated(replace(request, method=complete.method))):
        hint = line.replace("FILE.toml", str(config))
    if dry_run:
        if hint is not None:
            say(hint)
        _print_plan(complete, images, seeds, output, threads, form)
        return
    if complete.shard is not None:
        typer.echo(_shard(complete, images, seeds, output, threads, data_root, launch))
        return
    results = run_seeds(
        complete,
        images,
        seeds,
        output,
        threads,
        _begun(hint),
        data_root=data_root,
        launch=launch,
        custom=request.custom,
    )
    print_results(results, form)


def _pair(source: str | None, target: str | None) -> tuple[str, str] | None:
    """Both prompts, or none. Raises UserError for one alone."""
    if source is None and target is None:
        return None
    if source is None or target is None:
        raise UserError("--prompt-source and --prompt-target go together; give both")
    return source, target


def _begun(hint: str | None) -> Callable[[RunConfig], Progress]:
    """What shows the progress; says the hint first, once, when nothing is in the way of the run."""
    from vcebench.running.progress import Progress

    left = [hint] if hint is not None else []

    def begin(config: RunConfig) -> Progress:
        while left:
            say(left.pop())
        return Progress(config)

    return begin


def _shard(
    config: RunConfig,
    images: ImageSet,
    seeds: int,
    output: Path | None,
    threads: int | None,
    data_root: Path | None,
    launch: Launcher,
) -> Path:
    """Make a shard; returns its folder."""
    from vcebench.jobs.session import RUNS
    from vcebench.running.shards import run_shard, undivided_folder

    whole = output or RUNS / config.folder_name(seeds)
    folder = run_shard(config, images, seeds, whole, threads, data_root=data_root, launch=launch)
    count = (config.shard or (0, 1))[1]
    say(f"when all are there: vcebench merge {undivided_folder(folder)}-shard-*-of-{count}")
    return folder


def _print_plan(
    config: RunConfig,
    images: ImageSet,
    seeds: int,
    output: Path | None,
    threads: int | None,
    form: Form,
) -> None:
    """Plan and estimate on stdout; nothing is written."""
    from vcebench.formats import Table
    from vcebench.jobs.session import RUNS
    from vcebench.running.assemble import networks_of
    from vcebench.running.dryrun import plan_rows

    say("a few steps of the first images, to estimate …")
    where = output or RUNS / config.folder_name(seeds)
    bundle = networks_of(config, metrics=False)
    rows = plan_rows(config, images, bundle, where, seeds, threads)
    typer.echo(Table(rows).render(form.value))
