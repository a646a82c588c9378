"""How hypothesis runs, and run folders that look like real ones for whatever only reads runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import is_hypothesis_test, settings
from torch import Tensor

from vcebench.data.base import Example, Truth
from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.evaluating.evaluation import Evaluation
from vcebench.evaluating.summary import save
from vcebench.folders.images import Codec, dequantise, encode_masks, encode_region
from vcebench.folders.manifest import new_manifest
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import Finished, open_store
from vcebench.metrics.registry import METRICS
from vcebench.metrics.result import MetricValue, measured, missing, summarise
from vcebench.settings.config import build_config

# A red test must mean a changed program, so the default suite draws the same examples every time;
# `-m slow` looks further, with seeds of its own. `--hypothesis-profile` chooses by hand.
settings.register_profile("steady", derandomize=True, max_examples=30, deadline=None)
settings.register_profile("fresh", max_examples=300, deadline=None)
# For the tests of run folders from strangers alone, see `strangers.how_many`: half an hour.
settings.register_profile("full", derandomize=True, max_examples=30, deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # one of several processes: a core each, and its children's
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
    asked = config.getoption("--hypothesis-profile")
    wanted = "fresh" if config.getoption("markexpr") == "slow" else "steady"
    settings.load_profile(asked or wanted)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if settings.get_current_profile_name() == "fresh":
        for item in items:
            if is_hypothesis_test(getattr(item, "obj", None)):
                item.add_marker("slow")


# Made-up methods: how much of the true edit they do, how much else they change, with masks or not.
FAKES = {
    "maskdime": (0.9, 0.01, True),
    "fastdime": (0.75, 0.05, True),
    "dime": (0.6, 0.12, False),
}


@cache
def face(index: int) -> tuple[Example, Truth]:
    """A synthetic face, and what it looks like with the other value of its label."""
    images = SynthFaces("smile", "test")
    example = images[index]
    return example, images.truth(index, 1 - example.label)


def blend(x: Tensor, truth: Tensor, method: str, index: int) -> Tensor:
    """A made-up counterfactual: the true edit in part, plus a drift of all colours."""
    share, drift, _ = FAKES[method]
    share *= 0.55 + 0.45 * abs(np.sin(1.7 * index + len(method)))
    wave = torch.sin(torch.linspace(0, 9, x.shape[-1]))[None, None, :]
    mixed = (1 - share) * x.float() + share * truth.float() + 255 * drift * wave
    return mixed.round().clamp(0, 255).to(torch.uint8)


def fake_trace(x: Tensor, x_cf: Tensor, outer: Tensor, inner: Tensor) -> dict[str, Tensor]:
    """Twelve steps on the way from x to x_cf."""
    steps = 12
    noise = torch.randn(3, *x.shape[1:], generator=torch.Generator().manual_seed(0))
    shares = torch.linspace(0, 1, steps)[:, None, None, None]
    x_t = (1 - shares) * dequantise(x) + shares * dequantise(x_cf)
    return {
        "index": torch.arange(steps).flip(0),
        "z": x_t + 0.5 * (1 - shares) * noise,
        "x_t": x_t,
        "mask_z": outer.expand(steps, 1, -1, -1).contiguous(),
        "mask_x": inner.expand(steps, 1, -1, -1).contiguous(),
    }


def _finished(run: dict[str, Any], index: int, example_id: str) -> Finished:
    method, traced = run["method"], index < run["trace"]
    example, truth = face(index % run["pictures"])
    target = 1 - example.label
    x, x_cf = example.image, blend(example.image, truth.counterfactual, method, index)
    change = (x_cf.int() - x.int()).abs().float().mean()
    inner = truth.region[None]
    outer = torch.nn.functional.max_pool2d(inner[None].float(), 7, 1, 3)[0].bool()
    probability = float(torch.sigmoid(torch.tensor(4 * abs(np.sin(index + len(method))) - 1.2)))
    flipped = probability > 0.5
    row = Row(
        id=example_id,
        index=index,
        status="ok",
        label=example.label,
        prediction=example.label,
        source=example.label,
        target=target,
        correct=index % 9 != 4,
        flipped=flipped,
        flipped_float=flipped,
        top1=flipped,
        lambda_class=8.0 if flipped else 15.0,
        tries=1 if flipped else 3,
        nfe=60 if flipped else 180,
        seconds=0.9 + 0.01 * float(change),
        margin_input=-3.1,
        margin=4 * probability - 2,
        target_probability_input=0.04,
        target_probability=probability,
    )
    files = {
        f"inputs/{example_id}.png": Codec().encode(x),
        f"counterfactuals/{example_id}.png": Codec().encode(x_cf),
        f"truths/{example_id}.png": Codec().encode(truth.counterfactual),
    }
    if FAKES[method][2]:
        files[f"masks/{example_id}.png"] = encode_masks(outer, inner) or b""
    else:
        outer = inner = torch.ones_like(inner)
    if run["region"]:
        files[f"regions/{example_id}.png"] = encode_region(outer)
    if traced:
        content = safetensors.torch.save(fake_trace(x, x_cf, outer, inner))
        files[f"trace/{example_id}.safetensors"] = content
    return Finished(row, files)


def _values(rows: list[Row], method: str) -> dict[str, MetricValue]:
    """A few metrics from the rows, a few made up, the rest missing."""
    share, drift, _ = FAKES[method]
    flipped, correct = [r.flipped for r in rows], [r.correct for r in rows]
    n = sum(flipped)
    network = "fixture classifier"
    found = {
        "fr": summarise("fr", flipped, flipped, correct, backbone=network),
        "nfe": summarise("nfe", [r.nfe for r in rows], flipped, correct),
        "time": measured("time", sum(r.seconds for r in rows), n=len(rows)),
        "fid": measured("fid", 3 + 40 * drift, n=n, backbone="fixture features"),
        "fs": measured("fs", 1 - 2 * drift, n=n, interval=(1 - 3 * drift, 1 - drift)),
        "cout": measured("cout", share - 0.2, n=n, interval=(share - 0.3, share - 0.1)),
        "l1": measured("l1", drift / 2 + 0.004, n=n, interval=(drift / 2, drift / 2 + 0.01)),
        "gt_iou": measured("gt_iou", share - 3 * drift, n=n),
        "sigma_l": missing("sigma_l", "needs --seeds 5"),
    }
    if method == "dime":
        found["cout"] = missing("cout", "no correctly classified image")
    return {id: found.get(id) or missing(id, "not part of the fixture") for id in METRICS}


def _per_image(folder: RunFolder, rows: list[Row]) -> dict[str, dict[str, float]]:
    """The real l1 of every image, and a made-up COUT that some images lack."""
    x, x_cf = (folder.images(kind, rows).float() for kind in ("inputs", "counterfactuals"))
    l1 = ((x_cf - x).abs() / 255).mean(dim=(1, 2, 3)).tolist()
    return {
        "l1": {row.id: value for row, value in zip(rows, l1, strict=True)},
        "cout": {row.id: float(np.sin(row.index)) for row in rows if row.correct},
    }


def _manifest(method: str, limit: int, trace: int, seed: int) -> dict[str, Any]:
    config = build_config(
        method=method,
        settings={"tau": 60, "top_k": 0.05, "rho": 0.5},
        dataset="synthfaces",
        task="smile",
        limit=limit,
        seed=seed,
        trace=trace,
    )
    network = {"name": "fixture classifier", "sha256": "5f" * 32}
    sitting = {
        "started": "2026-01-01T00:00:00+00:00",
        "command": f"vcebench run --method {method} --dataset synthfaces",
        "versions": {"vcebench": "0.1.0", "torch": "2.4"},
        "git_commit": "fixture",
        "device": "fixture device",
    }
    manifest = new_manifest(config, {"classifier": network})
    return {**manifest, "status": "finished", "sittings": [sitting]}


@pytest.fixture(scope="session")
def fixture_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """A made-up run: fixture_run("maskdime", ids=[…], trace=2, evaluated=True, note="…").

    Pictures are synthetic faces; counterfactuals are blends of input and truth, not results.
    """

    def make(
        method: str = "maskdime",
        ids: Sequence[str] | int = 6,
        trace: int = 0,
        seed: int = 0,
        pictures: int = 24,
        evaluated: bool = True,
        note: str = "made-up figures: a fixture of the tests",
        region: bool = False,
        **manifest: Any,
    ) -> RunFolder:
        path: Path = tmp_path_factory.mktemp("runs") / method
        names = [f"synthfaces-test-{k:05d}" for k in range(ids)] if isinstance(ids, int) else ids
        content = _manifest(method, max(1, len(names)), trace, seed) | manifest
        run = {"method": method, "trace": trace, "pictures": pictures, "region": region}
        with open_store(path, content) as store:
            store.commit([_finished(run, k, id) for k, id in enumerate(names)])
        folder = RunFolder(path)
        if evaluated:
            rows = folder.rows()
            evaluation = Evaluation(
                values=_values(rows, method),
                images=len(rows),
                non_finite=0,
                float_fr=None,
                seconds_per_image=1.0,
                memory_of="",
                notes=(note,),
                per_image=_per_image(folder, rows),
                networks=folder.manifest()["networks"],
            )
            save(folder, evaluation)
        return folder

    return make
