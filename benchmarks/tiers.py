"""(c) Reduced precision and compilation: how much faster, and what changes."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.against import ours
from benchmarks.figures import Figure, ratio, skipped
from benchmarks.machine import in_turn, seconds
from benchmarks.overhead import silent
from benchmarks.setting import Scale, setting
from vcebench.evaluating.evaluation import Evaluation, evaluate
from vcebench.folders.images import dequantise
from vcebench.folders.rows import Row
from vcebench.metrics.registry import METRICS
from vcebench.running.precision import in_precision
from vcebench.running.runner import run

UNMEASURED = ("time", "peak_memory", "nfe", "sigma_l")
COMPILERS = ("g++", "clang++", "c++")
USUAL_TAU = 60


def speed(scale: Scale) -> Figure:
    """Wall times of the same tries in both tiers, in turn."""
    images = scale.batch_size * scale.threads
    exact = setting(scale, images, rungs=(8.0,))
    reduced = setting(scale, images, rungs=(8.0,), precision="bf16", bundle=exact.bundle)
    runs: dict[str, Callable[[], object]] = {
        "exact": lambda: ours(exact, scale.threads),
        "bf16": lambda: ours(reduced, scale.threads),
    }
    for warm_up in runs.values():
        warm_up()
    found = in_turn(runs, scale.repeats)
    note = f"{found['exact']:.2f} s / {found['bf16']:.2f} s; {images} images, τ {scale.tau}"
    return ratio("c", "exact / bf16 tier", found["exact"] / found["bf16"], at_least=2, note=note)


def whole_run(scale: Scale, precision: str, folder: Path) -> tuple[list[Row], Evaluation]:
    """A run of the usual length at the first λ_c, and its metrics."""
    tau = scale.flips_tau
    given = setting(scale, scale.flips_images, tau=tau, rungs=(8.0,), precision=precision)
    made = run(given.config, given.images, folder, given.bundle, scale.threads, silent)
    return made.rows(), evaluate(made, given.bundle, threads=scale.threads)


def changes(scale: Scale) -> list[Figure]:
    """Flips of both tiers image by image, and all metrics that have a value."""
    with tempfile.TemporaryDirectory(prefix="vcebench-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact, of_exact = whole_run(scale, "exact", Path(scratch) / "exact")
        bf16, of_bf16 = whole_run(scale, "bf16", Path(scratch) / "bf16")
    equal = sum(a.flipped == b.flipped for a, b in zip(exact, bf16, strict=True))
    share = 100 * equal / len(exact)
    what = f"{len(exact)} images at λ_c = 8, τ {scale.flips_tau}"
    lines = [
        Figure("c", "equal flips, bf16", f"{share:.1f} %", "≥ 99 %", share >= 99, what),
    ]
    for id in METRICS:
        a, b = of_exact.values[id], of_bf16.values[id]
        if id in UNMEASURED or a.value is None or b.value is None:
            continue
        interval = "" if a.interval is None else "95 %: {:.4g} … {:.4g}".format(*a.interval)
        change = f"{a.value:.4g} → {b.value:.4g}"
        lines.append(Figure("c", f"{id}, exact → bf16", change, note=f"n {a.n}; {interval}"))
    return lines


def compiled(scale: Scale) -> Figure:
    """The prior under torch.compile, and how many images pay for compiling it."""
    what = "prior, eager / torch.compile"
    if not scale.compile:
        return skipped("c", what, "not asked for")
    if not any(shutil.which(name) for name in COMPILERS):
        return skipped("c", what, "no C++ compiler; install g++")
    given = setting(scale, scale.batch_size, rungs=(8.0,))
    network = given.bundle.prior.network
    z = dequantise(given.stacked()).contiguous(memory_format=torch.channels_last)
    t = torch.full((len(z),), 100)

    def forward(prior: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
        return lambda: prior(z, t)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            fast = torch.compile(network, dynamic=False)
            first = seconds(forward(fast))
            runs = {"eager": forward(network), "compiled": forward(fast)}
            for warm_up in runs.values():
                warm_up()
            found = in_turn(runs, scale.repeats)
            apart = float((fast(z, t) - network(z, t)).abs().max())
    finally:
        torch.set_num_threads(before)
    saved = (found["eager"] - found["compiled"]) / len(z) * USUAL_TAU
    pays = f"pays from {first / saved:.0f} images on" if saved > 0 else "never pays"
    note = f"{1000 * found['eager']:.0f} ms / {1000 * found['compiled']:.0f} ms; compiling takes "
    note += f"{first:.0f} s: {pays} at τ {USUAL_TAU}, one try; largest difference {apart:.1e}"
    return ratio("c", what, found["eager"] / found["compiled"], note=note)


def reduced_prior(scale: Scale) -> Figure:
    """The prior alone in both tiers, on one thread."""
    given = setting(scale, scale.batch_size, rungs=(8.0,))
    z = dequantise(given.stacked()).contiguous(memory_format=torch.channels_last)
    t = torch.full((len(z),), 100)
    network = given.bundle.prior.network
    reduced = in_precision(network, "bf16")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            runs = {"exact": lambda: network(z, t), "bf16": lambda: reduced(z, t)}
            found = in_turn(runs, scale.repeats + 1)
    finally:
        torch.set_num_threads(before)
    note = f"{1000 * found['exact']:.0f} ms / {1000 * found['bf16']:.0f} ms, one thread"
    return ratio("c", "prior alone, exact / bf16", found["exact"] / found["bf16"], note=note)


def figures(scale: Scale) -> list[Figure]:
    """All lines of this part."""
    return [speed(scale), reduced_prior(scale), *changes(scale), compiled(scale)]
