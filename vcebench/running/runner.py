"""A run: plan, full batches with retries, commits, and what is said when it ends early."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from vcebench.data.base import HasNotes, HasTruth, ImageSet
from vcebench.data.files import BadImageError
from vcebench.devices.flags import precision_flags
from vcebench.errors import StoppedError, UserError, one_line
from vcebench.folders.digests import input_digest
from vcebench.folders.images import LARGEST_SIDE, Codec
from vcebench.folders.manifest import new_manifest
from vcebench.folders.rows import Row, Status
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import Finished, RunStore, open_store
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.outside import Outside
from vcebench.models.bundle import Bundle
from vcebench.running import cost
from vcebench.running.already import unsettled
from vcebench.running.assemble import worker_of
from vcebench.running.beside import Beside
from vcebench.running.engines.base import Engine, Launcher
from vcebench.running.engines.local import Local
from vcebench.running.inputs import check_inputs, still_left_out
from vcebench.running.ladder import Batch, Final, Ladder, drive
from vcebench.running.parked import parked
from vcebench.running.probe import first_images, probe
from vcebench.running.progress import Progress
from vcebench.running.regions import finder_of, maps_of
from vcebench.running.repair import outcome, take_back, traced_before
from vcebench.running.seen import seen
from vcebench.running.strength import strength
from vcebench.running.tries import Item, Outcome
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig
from vcebench.settings.custom import stored_custom


def run(
    config: RunConfig,
    images: ImageSet,
    output: Path,
    bundle: Bundle,
    threads: int | None = None,
    progress: Callable[[RunConfig], Progress] = Progress,
    data_root: Path | None = None,
    launch: Launcher | None = None,
) -> RunFolder:
    """Make a run, or continue one; returns its folder.

    Args:
        config: the complete configuration.
        images: the image set it is about.
        output: the run folder.
        bundle: the networks of its task, on its device.
        threads: batches at a time on a CPU.
        progress: makes what shows the progress.
        data_root: where the data set lies, for those who evaluate the run.
        launch: starts the engine (default: `Local` with `threads`).

    Raises:
        UserError: something about the request is not usable; nothing was lost.
        StoppedError: interrupted; the same call continues.
    """
    worker = worker_of(config, bundle)
    if config.custom is not None:
        with precision_flags(config.precision):
            probe(worker, first := first_images(config, images))
            if worker.class_unit == 1:  # nobody calibrated it
                _say(strength(worker, first))
    launch = launch or Local(threads)
    started = time.perf_counter()
    wanted = len(config.indices())
    with open_store(output, new_manifest(config, bundle.facts(), data_root)) as store:
        said = _say([*bundle.notes, *notes_of(images)])
        _say(take_back(store))
        known = [row for row in store.damaged.values() if row.input_sha256 is not None]
        said += _say(check_inputs(store.folder, [*store.finished.values(), *known], images))
        if len(store.finished) + still_left_out(store, config, images) >= wanted:
            if store.manifest.get("status") != "finished":
                store.finish()
            return store.folder
        skipped: dict[str, str] = {}
        sitting = _sitting(worker.device, threads, str(launch))
        store.update(status="running")
        idle = parked(bundle, config.precision)
        with idle, precision_flags(config.precision), progress(config) as shown:
            shown.start(store.finished.values(), wanted)
            with _interruptible(store, wanted):
                engine = launch(config, worker, shown.step)
                try:
                    done = {row.index for row in store.finished.values()}
                    items = pending(config, images, done, skipped, traced_before(store))
                    outside = isinstance(worker.method, Outside)
                    early = config.custom is not None
                    with Beside(2 * config.batch_size) as beside:
                        for batch in _batches(config, worker, beside.opened(items), engine):
                            beside.store(partial(_keep, store, shown, batch, images, outside))
                            early = early and not _say(seen(batch.finals))
                finally:
                    engine.close()
                    _note(store, sitting, engine.peak_memory(), time.perf_counter() - started)
        _say([note for note in notes_of(images) if note not in said] + outcome(store))
        notes = [*bundle.notes, *notes_of(images)]
        store.finish(skipped=skipped, data_notes=notes)
        return store.folder


def notes_of(images: ImageSet) -> list[str]:
    """What an image set has to say about its files, as far as they were read."""
    return images.notes() if isinstance(images, HasNotes) else []


def _say(lines: Sequence[str]) -> list[str]:
    for line in lines:
        print(line, file=sys.stderr)
    return list(lines)


def _batches(
    config: RunConfig, worker: Worker, items: Iterator[Item], engine: Engine
) -> Iterator[Batch]:
    """The batches of a run as they end, with the images that needed none."""
    settled: list[Final] = []
    # A classifier that knows nothing of the task is asked what the task's would be asked.
    if config.classifier == "task":
        items = unsettled(items, worker, settled.append)
    rungs = worker.method.rungs(config.guidance.lambda_class)
    ladder = Ladder(items, rungs, config.batch_size)
    for batch in chain(drive(ladder, engine), [Batch(0, [])]):
        finals = [*settled, *batch.finals]
        settled.clear()
        yield Batch(batch.tries, finals)


def pending(
    config: RunConfig,
    images: ImageSet,
    finished: Container[int],
    skipped: dict[str, str] | None = None,
    traced: Container[int] = (),
) -> Iterator[Item]:
    """The images of a run that have no row yet, opened one by one.

    Args:
        finished: positions of those that have one.
        skipped: gets the files that cannot be used, with the reason, if the run skips them.
        traced: positions of images whose steps are kept, beside the first ones.
    """
    asked = None
    find, mapped = finder_of(config, images), maps_of(config, images)
    if config.custom is not None:
        asked = stored_custom(config.custom).target_class(images.task.labels)
    for index in config.indices():
        if index in finished:
            continue
        try:
            example = images[index]
        except BadImageError as error:
            if not config.skip_bad:
                raise
            if skipped is not None:
                skipped[str(index)] = one_line(error)
            print(f"skipped: {one_line(error)}", file=sys.stderr)
            continue
        check_image(example.image, example.id)
        # A classifier that knows nothing of the task is asked for what the task's would be asked.
        target = asked if config.classifier == "task" else 1 - example.label
        yield Item(
            example.id,
            index,
            example.image,
            example.label,
            target=target,
            traced=index < config.trace or index in traced,
            region=None if find is None else find(index, example.id),
            segments=None if mapped is None else mapped(index),
        )


def check_image(image: torch.Tensor, name: str) -> None:
    """Refuse what is not a uint8 image with shape (3, H, W)."""
    shape = tuple(image.shape)
    if image.dtype != torch.uint8 or len(shape) != 3 or shape[0] != 3:
        raise UserError(
            f"image {name} is {image.dtype} with shape {shape}; give uint8 with shape (3, H, W)"
        )
    if not all(1 <= side <= LARGEST_SIDE for side in shape[1:]):
        raise UserError(f"image {name} has {shape[1]}x{shape[2]} pixels; resize it")


def _keep(store: RunStore, shown: Progress, batch: Batch, images: ImageSet, outside: bool) -> None:
    """Store the images that are done with a batch, and show them."""
    results = [_finished(final, images, outside) for final in batch.finals]
    store.commit(results)
    shown.finished(batch.tries, [result.row for result in results])


def _finished(final: Final, images: ImageSet, outside: bool) -> Finished:
    """Row and files of an image that has had its last try.

    Nobody counts what a callable from `outside` evaluates.
    """
    row = _row(final)
    if outside:
        row = replace(row, nfe=None, backward=None, lambda_class=None)
    outcome = final.outcome
    files = dict(outcome.files)
    if outcome.trace:
        files[f"trace/{row.id}.safetensors"] = safetensors.torch.save(outcome.trace)
    if row.finite and isinstance(images, HasTruth):
        truth = images.true_image(row.index, row.target)
        files[f"truths/{row.id}.png"] = Codec().encode(truth)
    return Finished(row, files)


def _row(final: Final) -> Row:
    item, outcome, cost = final.attempt.item, final.outcome, final.cost
    return Row(
        id=item.id,
        index=item.index,
        status=_status(outcome),
        label=item.label,
        prediction=outcome.prediction,
        source=outcome.source,
        target=outcome.target,
        correct=item.label < 0 or outcome.prediction == item.label,  # below 0: unlabelled
        flipped=outcome.flipped,
        flipped_float=outcome.flipped_float,
        top1=outcome.top1,
        lambda_class=None if outcome.already else final.attempt.lambda_class,
        tries=cost.tries,
        nfe=cost.nfe,
        seconds=cost.seconds,
        margin_input=outcome.margin_input,
        margin=outcome.margin,
        target_probability_input=outcome.target_probability_input,
        target_probability=outcome.target_probability,
        batch_size=cost.batch_size,
        backward=cost.backward,
        input_sha256=input_digest(item.image, item.label),
    )


def _status(outcome: Outcome) -> Status:
    if outcome.already:
        return "already-target"
    return "ok" if outcome.finite else "non-finite"


def _sitting(device: torch.device, threads: int | None, engine: str) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["vcebench", *sys.argv[1:]]),
        "versions": cost.versions(),
        "git_commit": cost.git_commit(),
        "device": cost.device_name(device),
        "threads": threads or torch.get_num_threads(),
        "engine": engine,
    }


def _note(
    store: RunStore, sitting: dict[str, Any], memory: tuple[float, str], seconds: float
) -> None:
    """Add a sitting to the manifest."""
    peak, counted = memory
    done = sitting | {
        "seconds": round(seconds, 3),
        "images": len(store.finished),
        "peak_memory_mib": round(peak, 1),
        "peak_memory_of": counted,
    }
    store.update(sittings=[*store.manifest["sittings"], done])


@contextmanager
def _interruptible(store: RunStore, wanted: int) -> Iterator[None]:
    """Say how to go on when a run is interrupted; what was committed stays."""
    try:
        yield
    except KeyboardInterrupt:
        store.update(status="interrupted")
        raise StoppedError(
            f"stopped after {len(store.finished)} of {wanted} images; the same command continues"
        ) from None
    except MethodError as error:
        raise UserError(one_line(error)) from error
