"""What a method costs beyond its network evaluations.

    python benchmarks/overhead.py [--dataset digits] [--batch-size 16] [--repeats 5] [--threads 2]

For MaskDiME, FastDiME and DiME, one batch is explained, and then exactly the same number of network
evaluations is made with nothing between them: the prior forward, the classifier and the perceptual
network forward and backward. The ratio of the two medians is the overhead. Both are timed in turn,
in one process, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tabulate import tabulate
from torch import Tensor

from vcebench.data.registry import open_dataset
from vcebench.images import dequantise
from vcebench.methods import registry
from vcebench.methods.guidance import Guidance
from vcebench.methods.noise import KeyedNoise
from vcebench.models.bundle import Bundle, load_bundle

# DiME needs τ(τ+1)/2 evaluations; a shorter chain keeps the benchmark short, and the ratio is one
# of equal work anyway.
METHODS = {"maskdime": 60, "fastdime": 60, "dime": 16}


@dataclass(frozen=True)
class Batch:
    """Images in [-1, 1], (B, 3, H, W), their ids, and what the task makes of them."""

    x: Tensor
    ids: list[str]
    target: Tensor
    source: Tensor


def first_batch(dataset: str, bundle: Bundle, size: int) -> Batch:
    """The first images of the default task's test split."""
    data = open_dataset(dataset)
    examples = [data[i] for i in range(size)]
    x = dequantise(torch.stack([example.image for example in examples]))
    decision = bundle.classifier.decide(x)
    return Batch(x, [e.id for e in examples], decision.target, decision.source)


def guidance(bundle: Bundle, batch: Batch) -> Guidance:
    """The joint loss at the first rung of the ladder."""
    return Guidance(
        bundle.classifier,
        torch.full((len(batch.x),), 8.0),
        bundle.perceptual,
        source=batch.source,
        class_unit=bundle.class_unit,
        perceptual_unit=bundle.perceptual_unit,
    )


def whole_method(name: str, tau: int, bundle: Bundle, batch: Batch) -> Callable[[], int]:
    """Explains the batch; returns the evaluations of the prior."""
    method = registry.method(name, tau=tau)
    noise = KeyedNoise(0, "benchmark", batch.ids, tuple(batch.x.shape[1:]))  # type: ignore[arg-type]

    def run() -> int:
        result = method.explain(
            batch.x,
            batch.target,
            prior=bundle.prior,
            guidance=guidance(bundle, batch),
            noise=noise,
        )
        return int(result.nfe[0])

    return run


def bare_networks(evaluations: int, gradients: int, bundle: Bundle, batch: Batch) -> None:
    """The same evaluations, and nothing else but what autograd needs."""
    network, t = bundle.prior.network, torch.full((len(batch.x),), 100)
    z = batch.x.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        features = bundle.perceptual(batch.x)
        for _ in range(evaluations):
            network(z, t)
    for _ in range(gradients):
        at = z.detach().requires_grad_()
        margin = bundle.classifier.margin(at, batch.target, batch.source)
        torch.autograd.grad(margin.sum(), at)
        at = z.detach().requires_grad_()
        loss = (bundle.perceptual(at) - features).square().mean()
        torch.autograd.grad(loss, at)


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(name: str, tau: int, bundle: Bundle, batch: Batch, repeats: int) -> dict[str, object]:
    """One row of the table."""
    explain = whole_method(name, tau, bundle, batch)
    evaluations = explain()  # also warms up

    def bare() -> None:
        bare_networks(evaluations, tau, bundle, batch)

    bare()
    pairs = [(seconds(explain), seconds(bare)) for _ in range(repeats)]
    whole, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "method": name,
        "τ": tau,
        "NFE": evaluations,
        "method, s": round(whole, 3),
        "networks alone, s": round(floor, 3),
        "overhead ratio": round(whole / floor, 3),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bundle = load_bundle(arguments.dataset)
    batch = first_batch(arguments.dataset, bundle, arguments.batch_size)
    rows = [measure(name, tau, bundle, batch, arguments.repeats) for name, tau in METHODS.items()]
    print(tabulate(rows, headers="keys", tablefmt="github"))
    print(
        f"\n{arguments.dataset}, batch {arguments.batch_size}, {arguments.threads} threads, "
        f"medians of {arguments.repeats}; {platform.processor() or platform.machine()}, "
        f"torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
