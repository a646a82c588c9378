"""What a run would do and cost: its plan, and an estimate from a few warm-up steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch

from vcebench.data.base import ImageSet
from vcebench.devices.flags import precision_flags
from vcebench.errors import UserError
from vcebench.folders import inside
from vcebench.folders.runfolder import MANIFEST, RunFolder
from vcebench.formats import readable
from vcebench.methods.rcsb import RCSB
from vcebench.models.bundle import Bundle
from vcebench.running import cost
from vcebench.running.assemble import worker_of
from vcebench.running.runner import pending
from vcebench.running.tries import Try, of_method
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig, differences
from vcebench.settings.request import method_of, told_region

WARM_UP = 1
"""Evaluations of the prior a batch makes before the clock starts, or a few more: see below."""

TIMED = 8
"""Evaluations that are timed, or a few more: the clock starts and ends where a step is recorded."""


_NAMES = {"lambda_class": "λ_c"}


@dataclass(frozen=True)
class Estimate:
    """What a run would cost.

    Attributes:
        images: still to be explained.
        evaluations, backward: of the prior, and backward passes through it, per image and first
            try.
        seconds_per_batch: wall seconds of a batch at its first try, with as many side by side as
            the run has.
        seconds_all_tries: the same with all tries an image may have.
        batches: full batches if every image flips at its first try.
        tries: tries an image has at most.
        memory_mib, memory_of: peak during the warm-up, and what was counted.
    """

    images: int
    evaluations: int
    backward: int
    seconds_per_batch: float
    seconds_all_tries: float
    batches: int
    tries: int
    memory_mib: float
    memory_of: str

    @property
    def seconds(self) -> tuple[float, float]:
        """Wall seconds if every image flips at its first try, and if each needs all of them."""
        return self.seconds_per_batch * self.batches, self.seconds_all_tries * self.batches


def estimate(
    config: RunConfig, images: ImageSet, bundle: Bundle, done: int = 0, threads: int | None = None
) -> Estimate:
    """Time and memory of a run, from the first steps of its first batches; nothing is stored.

    Args:
        config, images, bundle: of the run.
        done: images that are there already.
        threads: batches at a time on a CPU.

    Raises:
        UserError: something about the request is not usable.
    """
    worker = worker_of(config, bundle)
    on_cpu = worker.device.type == "cpu"
    slots = (threads or torch.get_num_threads()) if on_cpu else 1
    first = list(islice(pending(config, images, {}), config.batch_size))
    rungs = worker.method.rungs(config.guidance.lambda_class)
    costs = [replace(worker.method, **of_method(rung)).evaluations() for rung in rungs]
    cost.reset_peak_memory(worker.device)
    with precision_flags(config.precision):
        clock = _timed(worker, [Try(item, 0, rungs[0], last=True) for item in first], slots)
    seconds = [clock.seconds_for(forward) for forward, _ in costs]
    memory, counted = cost.peak_memory(worker.device)
    left = config.limit - done
    return Estimate(
        images=left,
        evaluations=costs[0][0],
        backward=costs[0][1],
        seconds_per_batch=seconds[0],
        seconds_all_tries=sum(seconds),
        batches=-(-left // config.batch_size),
        tries=len(rungs),
        memory_mib=memory,
        memory_of=counted,
    )


def _timed(worker: Worker, tries: Sequence[Try], slots: int) -> _Clock:
    """The clock after a batch's first steps, `slots` at a time, as `engines.local` runs them."""
    clock = _Clock(slots, worker.batch_size)
    if worker.prior is not None:
        worker = replace(worker, prior=worker.prior.observed(clock.evaluated))
    before = torch.get_num_threads()
    if worker.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(slots) as pool:
            batches = [
                pool.submit(worker.explain, tries, clock.stop, clock.stepped) for _ in range(slots)
            ]
            for batch in batches:
                with suppress(CancelledError):
                    batch.result()
    finally:
        torch.set_num_threads(before)
    clock.end()
    return clock


class _Clock:
    """Times evaluations of the prior over all batches, and ends the batches once it has enough.

    From one record of a step to another there are whole steps, backward passes included.

    Args:
        slots: batches at a time.
        rows: of a batch; a conditional network is given each several times in an evaluation.
    """

    def __init__(self, slots: int, rows: int) -> None:
        self.stop = threading.Event()
        self._slots = slots
        self._rows = rows
        self._lock = threading.Lock()
        self._made = 0.0
        self._begun = time.perf_counter()
        self._waited = 0.0
        self._first: tuple[float, float] | None = None
        self._last = (0.0, self._begun)
        self._whole = 0.0

    def evaluated(self, images: int) -> None:
        """The prior is evaluated for so many images, a batch or several times one."""
        with self._lock:
            if self._made == 0:
                self._waited = time.perf_counter() - self._begun
            self._made += images / self._rows

    def stepped(self) -> None:
        """A batch records a step."""
        with self._lock:
            now = (self._made, time.perf_counter())
            if self._first is None:
                if self._made >= WARM_UP * self._slots:
                    self._first = now
            elif self._made - self._first[0] >= TIMED * self._slots and not self.stop.is_set():
                self._last = now
                self.stop.set()

    def end(self) -> None:
        """The batches have been given up, or came to their end."""
        self._whole = (time.perf_counter() - self._begun) / self._slots

    def seconds_for(self, evaluations: int) -> float:
        """Seconds of a batch that needs so many evaluations, as its share of the wall time."""
        if self._first is None or not self.stop.is_set():  # all batches came to their end
            return self._whole
        (before, start), (after, end) = self._first, self._last
        return self._waited / self._slots + evaluations * (end - start) / (after - before)


def plan_rows(
    config: RunConfig,
    images: ImageSet,
    bundle: Bundle,
    output: Path,
    seeds: int = 1,
    threads: int | None = None,
) -> list[dict[str, str]]:
    """What a run would do and cost, as rows "what", "value" for people.

    Raises:
        UserError: the folder holds a run with another configuration, or the request is not usable.
    """
    done = _stored(config, output)
    found = estimate(config, images, bundle, done, threads)
    low, high = (span(seconds * seeds) for seconds in found.seconds)
    again = found.tries > 1
    once = " if every image flips at once" if again else ""
    wall = f"{low} if every image flips at its first try, at most {high}" if again else low
    return [
        {"what": name, "value": value}
        for name, value in (
            ("run", _run(config)),
            ("settings", _settings(config, images)),
            ("images", f"{found.images} to explain, {done} there already"),
            ("batches", f"{found.batches} of {config.batch_size}{once}"),
            ("tries", _tries(config)),
            ("seeds", f"{seeds}, from {config.seed}"),
            ("prior evaluations", _evaluations(found)),
            ("device", f"{config.device}, {config.precision}"),
            ("time", f"{wall}; metrics extra"),
            ("peak memory", f"{found.memory_mib:.0f} MiB so far ({found.memory_of})"),
            ("run folder", str(output)),
        )
    ]


def _run(config: RunConfig) -> str:
    """What is explained with what."""
    region = told_region(config)
    inside = "" if region is None else f" inside {region}"
    return f"{config.method}{inside} on {config.dataset} {config.task}, {config.split}"


def _settings(config: RunConfig, images: ImageSet) -> str:
    """The method's settings, and what RCSB's s is at the size of these images."""
    shown = ", ".join(f"{name} {readable(value)}" for name, value in config.settings.items())
    method = method_of(config)
    if isinstance(method, RCSB):
        shown += f"; s/√(3HW) {method.pixel_step((3, *images.size)):.3g}"
    return shown


def _tries(config: RunConfig) -> str:
    """How often an image is tried, and with what."""
    rungs = method_of(config).rungs(config.guidance.lambda_class)
    shown = ", ".join(
        " ".join(f"{_NAMES.get(name, name)} {readable(value)}" for name, value in rung.items())
        for rung in rungs
    )
    return (
        f"at most {len(rungs)} an image, {shown}"
        if len(rungs) > 1
        else f"one an image {shown}".rstrip()
    )


def _evaluations(found: Estimate) -> str:
    """What a try costs in evaluations, for people."""
    forward = f"{found.evaluations} an image and try"
    return f"{forward}, {found.backward} of them differentiated" if found.backward else forward


def _stored(config: RunConfig, output: Path) -> int:
    """Images a run folder holds already. Raises `UserError` if it is of another configuration."""
    if not inside.exists(output, MANIFEST):
        return 0
    folder = RunFolder(output)
    stored = folder.config()
    if stored.digest() != config.digest():
        before, after = (one.model_dump(mode="json") for one in (stored, config))
        lines = "; ".join(differences(before, after))
        raise UserError(f"{output} was made with another configuration ({lines}); give another")
    return len(folder.rows())


def span(seconds: float) -> str:
    """A duration for people.

    >>> span(7.4), span(200), span(9000)
    ('7 s', '3.3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
