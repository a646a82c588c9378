"""Figures of a GPU, said as they are found and then in one table.

    python -m benchmarks.gpu [--batch 5 50] [--tier exact fast bf16 fp16] [--method maskdime]

CelebA's networks at their full size with random weights: the matrix rate of the card; one try by
method, tier and batch; the parts of a step; peak memory, each in a process of its own; a forward
pass of the U-Net by tier, layout and batch, as it is and recorded, beside its floor (operations
over matrix rate). Tries come first, so that a call that is cut short has said what matters most.
`--quick` runs digits' networks on the CPU: its figures mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.figures import Figure, table
from benchmarks.fullsize import full_size
from benchmarks.machine import operations
from benchmarks.setting import QUICK, Setting, setting
from vcebench.devices.capture import Captured, recorder_for
from vcebench.devices.flags import precision_flags
from vcebench.devices.noise import drawn_ahead
from vcebench.folders.images import dequantise
from vcebench.methods.core.masks import nested_top_k
from vcebench.methods.core.noise import KeyedNoise
from vcebench.running import cost
from vcebench.running.precision import in_precision

ROOT = Path(__file__).resolve().parents[1]
TYPES = {"exact": torch.float32, "fast": torch.float32, "bf16": torch.bfloat16, "fp16": torch.half}
LAYOUTS = {"NCHW": torch.contiguous_format, "channels last": torch.channels_last}
GOALS = {
    ("bf16", 5): 1.4,
    ("bf16", 50): 4.5,
    ("fast", 5): 2.2,
    ("fast", 50): 7.0,
    ("exact", 5): 4.7,
}
"""Seconds of one try of MaskDiME at τ = 60."""


@dataclass(frozen=True)
class Amount:
    """How much is measured, and where.

    Attributes:
        device: of all of it.
        batches: sizes of a batch.
        tau: steps of a try.
        tiers, methods: measured.
        repeats: of which the median counts.
        side: of the matrices whose product is timed.
        full: CelebA's networks; else digits'.
    """

    device: str = "cuda"
    batches: tuple[int, ...] = (5, 50)
    tau: int = 60
    tiers: tuple[str, ...] = ("exact", "fast", "bf16", "fp16")
    methods: tuple[str, ...] = ("maskdime", "fastdime")
    repeats: int = 3
    side: int = 8192
    full: bool = True


SMALL = Amount("cpu", (2,), 2, ("exact", "bf16"), ("maskdime",), 1, 128, False)


def given(amount: Amount, batch: int, tier: str, method: str = "maskdime") -> Setting:
    """Networks, images and a worker."""
    if amount.full:
        how: dict[str, Any] = {"method": method, "device": amount.device, "precision": tier}
        return full_size(batch, amount.tau, **how)
    scale = replace(QUICK, batch_size=batch)
    return setting(scale, batch, method, amount.tau, tier, rungs=(8.0,))


def seconds(run: Callable[[], object], amount: Amount) -> float:
    """Median wall time of a call after two for warming up, all work of the device included."""
    found = []
    for turn in range(amount.repeats + 2):
        start = time.perf_counter()
        run()
        if amount.device == "cuda":
            torch.cuda.synchronize()
        if turn >= 2:
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def rates(amount: Amount) -> dict[str, float]:
    """Operations a second in a square matrix product, by tier."""
    found = {}
    for tier in amount.tiers:
        a = torch.randn(amount.side, amount.side, device=amount.device).to(TYPES[tier])
        with precision_flags(tier):  # type: ignore[arg-type]
            found[tier] = 2 * amount.side**3 / seconds(lambda a=a: a @ a, amount)
    return found


@torch.no_grad()
def forwards(amount: Amount, rate: dict[str, float]) -> Iterator[Figure]:
    """The U-Net by tier, layout and batch; as a run has it, too."""
    for batch in amount.batches:
        made = given(amount, batch, "exact")
        network = made.bundle.prior.network
        z = dequantise(made.stacked()).to(amount.device)
        inputs = (z, torch.full((batch,), 100, device=amount.device))
        floor = operations(network, *inputs)
        for tier in amount.tiers:
            note = f"floor {1000 * floor / rate[tier]:.1f} ms"
            for name, memory_format in LAYOUTS.items():
                what = f"{tier}, {name}, batch {batch}"
                one = in_precision(network.to(memory_format=memory_format), tier)  # type: ignore[arg-type]
                with precision_flags(tier):  # type: ignore[arg-type]
                    took = seconds(partial(one, *inputs), amount)
                    yield ms(f"U-Net forward, {what}", took, note)
                    if (recorder := recorder_for(z.device)) is not None:
                        took = seconds(partial(Captured(one, recorder, "prior"), *inputs), amount)
                        yield ms(f"U-Net forward, recorded, {what}", took, note)


def tries(amount: Amount) -> Iterator[Figure]:
    """One try of a full batch, with noise, masks and files, and the parts of its steps."""
    for batch in amount.batches:
        for tier in amount.tiers:
            for method in amount.methods:
                made = given(amount, batch, tier, method)
                with precision_flags(tier):  # type: ignore[arg-type]
                    took = seconds(lambda made=made: made.worker.explain(made.tries()), amount)
                    what = f"one try, {method}, {tier}, batch {batch}"
                    goal = GOALS.get((tier, batch)) if method == "maskdime" else None
                    yield (
                        Figure("g", what, f"{took:.3f} s", f"≤ {goal} s", took <= goal)
                        if goal
                        else Figure("g", what, f"{took:.3f} s")
                    )
                    if method == amount.methods[0]:
                        yield from parts(amount, made, f"{tier}, batch {batch}")
                del made
                if amount.device == "cuda":
                    torch.cuda.empty_cache()


def parts(amount: Amount, made: Setting, what: str) -> list[Figure]:
    """The parts of a step."""
    worker, batch = made.worker, made.tries()
    x = dequantise(made.stacked()).to(amount.device)
    decision = worker.classifier.decide(x)
    bound = worker._guidance(batch, decision).bind(x, decision.target)
    ids = [one.item.id for one in batch]
    noise = KeyedNoise(0, "random", ids, tuple(x.shape[1:]), amount.device)  # type: ignore[arg-type]
    gradient = bound.class_gradient(x).abs().mean(dim=1, keepdim=True)
    work: dict[str, Callable[[], Tensor | object]] = {
        "posterior": lambda: worker.prior.posterior(x, 30).mean,  # type: ignore[union-attr]
        "class gradient": lambda: bound.class_gradient(x),
        "perceptual gradient": lambda: bound.perceptual_gradient(x),
        "masks": lambda: nested_top_k(gradient, 0.05, 0.5, 5),
        "noise, drawn when asked for": lambda: noise.draw("posterior", 0),
    }
    lines = [ms(f"{name}, {what}", seconds(run, amount)) for name, run in work.items()]
    with drawn_ahead(noise) as ahead:
        steps = iter(range(amount.repeats + 2))

        def draw() -> Tensor:
            worker.prior.posterior(x, 30)  # type: ignore[union-attr]
            return ahead.draw("posterior", next(steps))

        took = seconds(draw, amount)
    return [*lines, ms(f"posterior with a draw ahead, {what}", took)]


def ms(what: str, took: float, note: str = "") -> Figure:
    return Figure("g", what, f"{1000 * took:.3f} ms", note=note)


def peaks(amount: Amount) -> Iterator[Figure]:
    """Peak memory of one try, each in a process of its own."""
    for batch in amount.batches:
        for tier in amount.tiers:
            line = [sys.executable, "-m", "benchmarks.gpu", "--peak", tier, str(batch)]
            line += [] if amount.full else ["--quick"]
            done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{' '.join(line)} failed: {done.stderr.strip()[-500:]}")
            mib = float(done.stdout)
            what = f"peak memory, maskdime, {tier}, batch {batch}"
            wanted = tier == "fp16" and batch == 5 and amount.full
            goal, met = ("≤ 965 MiB", mib <= 965) if wanted else ("", None)
            yield Figure("g", what, f"{mib:.0f} MiB", goal, met)


def peak(amount: Amount, tier: str, batch: int) -> float:
    """Peak memory of two tries of this process, in MiB; loading is not counted on a GPU."""
    made = given(amount, batch, tier)
    # As in a run: a reduced tier's float32 prior waits in host memory.
    made.bundle.prior.network.to("cpu" if tier in ("bf16", "fp16") else amount.device)
    device = torch.device(amount.device)
    cost.reset_peak_memory(device)
    with precision_flags(tier):  # type: ignore[arg-type]
        for _ in range(2):
            made.worker.explain(made.tries())
    return cost.peak_memory(device)[0]


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Figures of a GPU.")
    parser.add_argument(
        "--quick", action="store_true", help="does it run? the figures mean nothing"
    )
    parser.add_argument("--batch", nargs="+", type=int, help="sizes of a batch (default: 5 50)")
    parser.add_argument("--tier", nargs="+", choices=TYPES, help="default: all")
    parser.add_argument("--method", nargs="+", help="default: maskdime fastdime")
    parser.add_argument("--peak", nargs=2, metavar=("TIER", "BATCH"), help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    amount = SMALL if asked.quick else Amount()
    chosen = {"batches": asked.batch, "tiers": asked.tier, "methods": asked.method}
    amount = replace(amount, **{k: tuple(v) for k, v in chosen.items() if v})
    if amount.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no CUDA device here; --quick runs on a CPU")
    if asked.peak:
        print(peak(amount, asked.peak[0], int(asked.peak[1])))
        return
    rate = rates(amount)
    lines = [
        Figure("g", f"matrix product, {t}", f"{r / 1e12:.1f} TFLOP/s") for t, r in rate.items()
    ]
    for figure in chain(tries(amount), peaks(amount), forwards(amount, rate)):
        print(f"{figure.what}: {figure.value}", file=sys.stderr, flush=True)
        lines.append(figure)
    print(f"{cost.device_name(torch.device(amount.device))}; torch {torch.__version__}\n")
    print(table(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
