"""The floor: operations of one network evaluation over the machine's measured matrix rate.

Only matrix products count as operations (convolutions, linear layers, attention); what a network
does between them, norms and activations, moves memory and is the distance from the floor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.figures import Figure
from benchmarks.machine import Machine, in_turn, operations
from benchmarks.overhead import gradient
from benchmarks.setting import Scale, setting
from vcebench.folders.images import dequantise
from vcebench.running.precision import in_precision


@dataclass(frozen=True)
class Evaluation:
    """One kind of evaluation: what does it, and its operations for a batch."""

    run: Callable[[], object]
    operations: int
    rate: float


def kinds(scale: Scale, machine: Machine) -> dict[str, Evaluation]:
    """The evaluations a step of MaskDiME consists of, in float32; and the prior's in bfloat16."""
    given = setting(scale, scale.batch_size, rungs=[8.0])
    worker, bundle = given.worker, given.bundle
    x = dequantise(given.stacked())
    z, t = x.contiguous(memory_format=torch.channels_last), torch.full((len(x),), 100)
    network, classifier = bundle.prior.network, bundle.classifier.network
    phi = bundle.perceptual
    reduced = in_precision(network, "bf16")

    def forward(prior: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
        def evaluate() -> None:
            with torch.no_grad():
                prior(z, t)

        return evaluate

    prior_operations = operations(network, x, t)
    return {
        "prior, forward": Evaluation(forward(worker.prior.network), prior_operations, machine.fp32),
        "classifier, forward and backward": Evaluation(
            lambda: gradient(lambda at: classifier(at).sum(), z),
            operations(classifier, x, backward=True),
            machine.fp32,
        ),
        "perceptual network, forward and backward": Evaluation(
            lambda: gradient(lambda at: phi(at).square().mean(), z),
            operations(phi, x, backward=True),
            machine.fp32,
        ),
        "prior, forward, bf16": Evaluation(forward(reduced), prior_operations, machine.bf16),
    }


def figures(scale: Scale, machine: Machine) -> list[Figure]:
    """Seconds of each evaluation as a multiple of its floor, on one thread."""
    found = kinds(scale, machine)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for kind in found.values():
            kind.run()
        measured = in_turn({name: kind.run for name, kind in found.items()}, scale.repeats)
    finally:
        torch.set_num_threads(before)
    lines = []
    for name, kind in found.items():
        floor = kind.operations / 1e9 / kind.rate
        note = f"{kind.operations / 1e9:.1f} GFLOP: {1000 * floor:.0f} ms of matrix products; "
        note += f"takes {1000 * measured[name]:.0f} ms on one thread, batch {scale.batch_size}"
        what = f"{name}: measured / floor, {scale.dataset}"
        lines.append(Figure("floor", what, f"{measured[name] / floor:.2f}", note=note))
    return lines
