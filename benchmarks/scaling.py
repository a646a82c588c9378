"""What the tables of the paper cost on many GPUs, and what the bottleneck becomes.

    python benchmarks/scaling.py                        # at the rate of the published V100 timing
    python benchmarks/scaling.py --rate 30 --gpus 1 16  # at a device's own rate, in TFLOP/s
    python benchmarks/scaling.py --this-cpu             # measure this machine's rate first

Seconds of a run = ⌈images · tries / (batch · GPUs)⌉ · batch · FLOP(image and try) / rate, where
FLOP(image and try) = evaluations · prior + guided steps · (classifier and perceptual, both ways).
FLOPs are counted by PyTorch on the published networks, built without memory or weights; nothing is
read but the package's own files. The rate is an assumption: no GPU was measured for it. Its default
is what the published total time of MaskDiME (supplement, Table 7: 1,000 images on a V100) comes to.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import statistics
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vcebench.formats import Table
from vcebench.jobs.plan import Planned, is_slow, plan
from vcebench.methods import registry
from vcebench.methods.registry import METHODS
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.published import PRIOR_FLAGS, without_memory
from vcebench.models.unet import UNet
from vcebench.results.collection import DIVERSITY
from vcebench.results.measurements import read_csv
from vcebench.settings.presets import preset
from vcebench.weights.cards import Card, roles_of

ROOT = Path(__file__).parents[1]
TABLES = {
    "celeba": ("1", "4", "5", "7", DIVERSITY),
    "celebahq": ("1", "5"),
    "bdd100k": ("2",),
    "bddoia": ("2",),
    "imagenet": ("3",),
}
V100 = ("maskdime", 1147.0, 1000)
"""Method, total seconds and images of the published timing (maskdime-supp, Table 7)."""

COUT_STEPS = 50
FILES_AN_IMAGE = 3  # input, counterfactual, masks


@cache
def published(dataset: str) -> tuple[int, tuple[int, int]]:
    """Images a task, and (height, width), from the published table of data sets."""
    with (ROOT / "results/published/datasets.csv").open(newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    width, height = map(int, row["resolution"].split("x"))
    tasks = row["tasks"].split(";")
    # ImageNet's number is of all three pairs together; faces are explained once for each task.
    share = len(tasks) if dataset == "imagenet" else 1
    return int(row["n_images"]) // share, (height, width)


def network(card: Card) -> nn.Module:
    """A published network without memory."""
    return without_memory(card).to("meta").eval().requires_grad_(False)


def flops(module: nn.Module, size: tuple[int, int], back: bool = False, timed: bool = False) -> int:
    """Floating-point operations of one image, forward, or with the gradient for the image."""
    x = torch.zeros(1, 3, *size, device="meta", requires_grad=back)
    arguments = (x, torch.zeros(1, device="meta")) if timed else (x,)
    counter = FlopCounterMode(display=False)
    with counter, torch.enable_grad() if back else torch.no_grad():
        found = module(*arguments)
        if back:
            found.sum().backward()
    return int(counter.get_total_flops())


@cache
def costs(dataset: str) -> dict[str, float]:
    """FLOPs of one image: an evaluation of the prior, a guided step, and all metrics."""
    _, size = published(dataset)
    cards = {role: found[0] for role, found in roles_of(dataset).items()}
    classifier = network(cards["classifier"])
    looks = 2 * sum(
        flops(network(cards[role]), size)
        for role in ("representation", "semantic", "oracle", "identity")
        if role in cards
    )
    return {
        "prior": flops(network(cards["prior"]), size, timed=True),
        "guide": flops(classifier, size, back=True)
        + flops(network(cards["perceptual"]), size, back=True),
        "metrics": looks + (COUT_STEPS + 3) * flops(classifier, size),
    }


def guided_steps(method: str, tau: int) -> int:
    """Steps with a gradient in a try."""
    if method == "dime-unconditional":
        return 0
    return 2 * tau if method.startswith("fastdime-2") else tau


def flops_a_try(run: Planned) -> float:
    """FLOPs of one image and try."""
    tau = run.tau or preset(run.dataset, run.task).tau
    cost = costs(run.dataset)
    forward, _ = registry.method(run.method, tau=tau).evaluations()
    return forward * cost["prior"] + guided_steps(run.method, tau) * cost["guide"]


@cache
def tries() -> dict[str, float]:
    """Mean tries an image, as measured on synthfaces; the mean of all where there is no row."""
    rows = [
        row
        for t in ("1", "4")
        for row in read_csv(ROOT / f"results/embedded/synthfaces-table{t}.csv")
    ]
    largest: dict[str, tuple[int, float]] = {}
    for row in rows:
        if row.metric == "nfe" and row.value is not None:
            (single,) = {
                r.value
                for r in rows
                if (*r.key[:3], r.images) == (*row.key[:3], row.images)
                and r.metric == "nfe_per_try"
            }
            if single:
                largest[row.method] = max(
                    largest.get(row.method, (0, 0.0)), (row.images, row.value / single)
                )
    found = {method: value for method, (_, value) in largest.items()}
    return found | {"": statistics.fmean(found.values())}


def runs() -> list[Planned]:
    """Every run of every table, once."""
    wanted = [
        run for name, tables in TABLES.items() for table in tables for run in plan(table, name)
    ]
    return list(dict.fromkeys(wanted))


def images_of(run: Planned) -> int:
    total, _ = published(run.dataset)
    return min(run.limit or total, total)


def seconds(run: Planned, rate: float, gpus: int) -> float:
    """Wall seconds of a run at a rate in FLOP/s."""
    batch = run.batch_size or preset(run.dataset, run.task).batch_size
    each = tries().get(run.method, tries()[""])
    rounds = math.ceil(images_of(run) * each / (batch * gpus))
    return run.seeds * rounds * batch * flops_a_try(run) / rate


def published_rate() -> float:
    """FLOP/s of the published timing, one try an image."""
    method, total, images = V100
    return images * flops_a_try(Planned(method, "celeba", "smile", images)) / total


def cpu_rate(repeats: int = 5) -> tuple[float, float]:
    """(FLOP/s, seconds of an evaluation) of CelebA's prior on one thread, of processor time."""
    size = published("celeba")[1]
    unet = UNet(config_from_flags(PRIOR_FLAGS["celeba-prior"])[0]).eval().requires_grad_(False)
    unet.to(memory_format=torch.channels_last)
    torch.set_num_threads(1)
    x, t = torch.randn(1, 3, *size).contiguous(memory_format=torch.channels_last), torch.zeros(1)
    took = _median(lambda: unet(x, t), repeats)
    return costs("celeba")["prior"] / took, took


def png_seconds(size: tuple[int, int], repeats: int = 20) -> float:
    """Processor seconds to encode a picture with the texture of a photograph."""
    noise = np.random.default_rng(0).normal(0, 6, (*size, 3))
    ramp = np.linspace(40, 200, size[1])[None, :, None]
    picture = Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8))
    return _median(lambda: picture.save(io.BytesIO(), "PNG", compress_level=6), repeats)


@torch.no_grad()
def _median(work: Callable[[], object], repeats: int) -> float:
    work()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=float, help="TFLOP/s a GPU reaches on the prior")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--this-cpu", action="store_true", help="measure one thread of this CPU")
    asked = parser.parse_args()
    rate = asked.rate * 1e12 if asked.rate else published_rate()
    print(f"rate: {rate / 1e12:.2f} TFLOP/s a GPU", end="")
    print(" (given)" if asked.rate else " (assumed: published total time of MaskDiME on a V100)")
    if asked.this_cpu:
        measured, took = cpu_rate()
        print(
            f"this CPU, one thread: {measured / 1e9:.1f} GFLOP/s, {took:.2f} s for an evaluation "
            "of CelebA's prior on one image"
        )
    print()
    print(Table(_network_rows()).render("github"), end="\n\n")
    print(Table(_check_rows(rate)).render("github"), end="\n\n")
    print(Table(_run_rows(rate, asked.gpus)).render("github"), end="\n\n")
    print(Table(_total_rows(rate, asked.gpus)).render("github"))


def _network_rows() -> list[dict[str, object]]:
    return [
        {
            "data set": name,
            "images a task": published(name)[0],
            "prior, GFLOP": round(costs(name)["prior"] / 1e9, 1),
            "guidance of a step, GFLOP": round(costs(name)["guide"] / 1e9, 1),
            "metrics, GFLOP": round(costs(name)["metrics"] / 1e9, 1),
        }
        for name in TABLES
    ]


def _check_rows(rate: float) -> list[dict[str, object]]:
    """The model against the other published times, at one try an image."""
    with (ROOT / "results/published/maskdime.csv").open(newline="") as file:
        times = {
            row["method"]: float(row["value"])
            for row in csv.DictReader(file)
            if row["metric"] == "total_time_s" and row["method"] in METHODS
        }
    rows: list[dict[str, object]] = []
    for method, printed in times.items():
        here = 1000 * flops_a_try(Planned(method, "celeba", "smile", 1000)) / rate
        rows.append(
            {
                "1,000 images": method,
                "published, s": printed,
                "model at one try, s": round(here),
                "published / model": round(printed / here, 2),
            }
        )
    return rows


def _run_rows(rate: float, gpus: list[int]) -> list[dict[str, object]]:
    groups: dict[tuple[str, str], list[Planned]] = {}
    for run in runs():
        groups.setdefault((run.dataset, run.method), []).append(run)
    rows: list[dict[str, object]] = []
    for (dataset, method), members in groups.items():
        hours = {
            f"{n} GPU, h": round(sum(seconds(r, rate, n) for r in members) / 3600, 1) for n in gpus
        }
        rows.append({"data set": dataset, "method": method, "runs": len(members), **hours})
    return rows


def _total_rows(rate: float, gpus: list[int]) -> list[dict[str, object]]:
    """Hours of everything, of the parts that do not shrink, and what is largest."""
    wanted = runs()
    metrics = sum(images_of(r) * r.seeds * costs(r.dataset)["metrics"] for r in wanted) / rate
    png = {name: png_seconds(published(name)[1]) for name in TABLES}
    files = sum(images_of(r) * r.seeds * FILES_AN_IMAGE * png[r.dataset] for r in wanted)
    rows: list[dict[str, object]] = []
    for n in gpus:
        parts = {
            "DiME": sum(seconds(r, rate, n) for r in wanted if is_slow(r.method)),
            "other methods": sum(seconds(r, rate, n) for r in wanted if not is_slow(r.method)),
            "metrics, one GPU": metrics,
            "PNG encoding": files / n,
        }
        total = sum(parts.values())
        rows.append(
            {"GPUs": n, "hours": round(total / 3600, 1)}
            | {f"{name}, h": round(value / 3600, 2) for name, value in parts.items()}
            | {"largest": max(parts, key=lambda name: parts[name])}
        )
    return rows


if __name__ == "__main__":
    main()
