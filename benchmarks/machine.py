"""The machine in words and figures: what every ratio beside it was measured on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

SIDE = 2048
"""Side of the square matrices whose product is timed."""


@dataclass(frozen=True)
class Machine:
    """One machine, in a table's caption.

    Attributes:
        cpu, cores: the processor.
        load: running processes besides ours, averaged over the last minute.
        fp32, bf16: matrix products on one thread, in 10⁹ operations a second.
        torch: version of PyTorch.
    """

    cpu: str
    cores: int
    load: float
    fp32: float
    bf16: float
    torch: str

    def __str__(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, load {self.load:.1f} at the beginning; one thread "
            f"multiplies matrices at {self.fp32:.0f} GFLOP/s in float32 and {self.bf16:.0f} in "
            f"bfloat16; torch {self.torch}"
        )


def describe(repeats: int) -> Machine:
    """Measure the machine this process runs on."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        fp32=matrix_rate(torch.float32, repeats),
        bf16=matrix_rate(torch.bfloat16, repeats),
        torch=torch.__version__,
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def matrix_rate(dtype: torch.dtype, repeats: int) -> float:
    """10⁹ operations a second of one thread in a square matrix product; the best of a few."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a = torch.randn(SIDE, SIDE).to(dtype)
        a @ a
        return 2 * SIDE**3 / min(seconds(lambda: a @ a) for _ in range(repeats)) / 1e9
    finally:
        torch.set_num_threads(before)


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median wall seconds of each; all are called in turn, so that a busy moment falls on all."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(seconds(run))
    return {name: statistics.median(values) for name, values in found.items()}


def operations(network: nn.Module, *inputs: Tensor, backward: bool = False) -> int:
    """Floating-point operations of a network's matrix products, of its gradient too if asked."""
    x, *rest = inputs
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        at = x.detach().clone().requires_grad_(backward)
        out = network(at, *rest)
        if backward:
            out.float().square().mean().backward()
    return int(counter.get_total_flops())
