"""(a) What a run costs beyond its network evaluations, input and output included.

A run goes from the data set to a finished run folder: batches on threads, PNG files, the store.
Beside it, in turn, exactly its network evaluations are made, on as many threads and batches: the
prior forward, the classifier and the perceptual network forward and backward, and nothing else. The
classifier's decisions about inputs and stored images count as overhead.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from benchmarks.figures import Figure, ratio
from benchmarks.fullsize import full_size
from benchmarks.machine import in_turn, operations
from benchmarks.setting import Scale, setting
from vcebench.folders.images import dequantise
from vcebench.running.progress import Progress
from vcebench.running.runner import run
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig

METHODS = {"maskdime": 60, "fastdime": 30, "dime": 7}
"""Method → τ. DiME needs τ(τ+1)/2 evaluations of the prior, so a shorter chain is as long."""


def silent(config: RunConfig) -> Progress:
    """Progress that nobody sees."""
    return Progress(config, Console(file=io.StringIO()))


def gradient(of: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Forward and backward at x."""
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        torch.autograd.grad(of(at), at)


def evaluations(worker: Worker, x: Tensor, evaluated: int, differentiated: int) -> None:
    """A batch's network evaluations and nothing else but what autograd needs."""
    z = x.contiguous(memory_format=torch.channels_last)
    t = torch.full((len(x),), 100)
    target = torch.zeros(len(x), dtype=torch.int64)
    network, classifier, phi = worker.prior.network, worker.guide, worker.perceptual
    assert phi is not None
    with torch.no_grad():
        phi(z)  # of the inputs, once
        for _ in range(evaluated):
            network(z, t)
    for _ in range(differentiated):
        gradient(lambda at: classifier.margin(at, target, 1 - target).sum(), z)
        gradient(lambda at: phi(at).square().mean(), z)


def measure(scale: Scale, method: str, tau: int) -> Figure:
    """A run of one full batch on every thread against its evaluations."""
    given = setting(scale, scale.batch_size * scale.threads, method, tau, rungs=[8.0])
    x = dequantise(given.stacked())
    nfe = tau * (tau + 1) // 2 if method == "dime" else tau

    def whole() -> None:
        with tempfile.TemporaryDirectory(prefix="vcebench-") as folder:
            run(
                given.config,
                given.images,
                Path(folder) / "run",
                given.bundle,
                scale.threads,
                silent,
            )

    def bare() -> None:
        with ThreadPoolExecutor(scale.threads) as pool:
            jobs = [
                pool.submit(evaluations, given.worker, x, nfe, tau) for _ in range(scale.threads)
            ]
            for job in jobs:
                job.result()

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        evaluations(given.worker, x, 1, 1)
        found = in_turn({"whole": whole, "bare": bare}, scale.repeats)
    finally:
        torch.set_num_threads(before)
    return ratio(
        "a",
        f"run / bare evaluations, {method}, {scale.dataset}",
        found["whole"] / found["bare"],
        at_most=1.05,
        note=f"{found['whole']:.2f} s / {found['bare']:.2f} s; τ {tau}, {nfe} evaluations",
    )


def measure_full_size(scale: Scale, batch_size: int = 2, tau: int = 3) -> Figure:
    """The same ratio for a batch through CelebA's networks; the store is left out."""
    given = full_size(batch_size, tau)
    worker, tries, x = given.worker, given.tries(), dequantise(given.stacked())
    before = torch.get_num_threads()
    torch.set_num_threads(scale.threads)
    try:
        evaluations(worker, x, 1, 1)
        runs: dict[str, Callable[[], object]] = {
            "whole": lambda: worker.explain(tries),
            "bare": lambda: evaluations(worker, x, tau, tau),
        }
        found = in_turn(runs, scale.repeats)
    finally:
        torch.set_num_threads(before)
    giga = operations(worker.prior.network, x, torch.zeros(batch_size)) / 1e9
    return ratio(
        "a",
        "batch / bare evaluations, maskdime, CelebA's networks at full size",
        found["whole"] / found["bare"],
        at_most=1.05,
        note=f"{found['whole']:.1f} s / {found['bare']:.1f} s; τ {tau}, batch {batch_size}, "
        f"random weights, {giga:.0f} GFLOP a forward of the prior",
    )


def figures(scale: Scale) -> list[Figure]:
    """All lines of this part."""
    found = [measure(scale, name, min(tau, scale.flips_tau)) for name, tau in METHODS.items()]
    return found + ([measure_full_size(scale)] if scale.full_size else [])
