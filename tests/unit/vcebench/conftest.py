"""Tiny networks and runs for the harness's tests, and made-up figures that nobody measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from made_up import made_up_row
from torch import Tensor, nn

from vcebench.folders.manifest import new_manifest
from vcebench.folders.rows import Row, to_table
from vcebench.folders.runfolder import RunFolder
from vcebench.jobs import session
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.metrics.registry import METRICS
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import PairClassifier
from vcebench.models.unet import UNet, UNetConfig
from vcebench.results.measurements import Measurement
from vcebench.running import runner
from vcebench.settings.config import PROTOCOL
from vcebench.settings.request import Request, resolve


class Ink(nn.Module):
    """Ten logits that rise and fall with the brightness of the middle of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.linspace(-2, 2, 10), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        ink = x[:, :, 8:24, 8:24].mean(dim=(1, 2, 3))
        return (ink[:, None] + 0.5) * self.slopes


def tiny_bundle() -> Bundle:
    """A task's networks with random weights, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet(UNetConfig(model_channels=32, channel_mult=(1, 1), num_res_blocks=1))
        for parameter in network.parameters():
            parameter.data.add_(0.02 * torch.randn_like(parameter))
        perceptual = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AvgPool2d(2))
        features = nn.Sequential(nn.AvgPool2d(8), nn.Flatten())
    for module in (network, perceptual, features):
        module.eval().requires_grad_(False)
    classifier = PairClassifier(Ink().eval(), (3, 8))
    roles = ("prior", "classifier", "perceptual", "representation", "oracle")
    return Bundle(
        prior=Prior(network, linear_schedule(500, 200)),
        classifier=classifier,
        perceptual=perceptual,
        representation=features,
        oracle=classifier.network,
        judge=classifier,
        identity=None,
        class_unit=110.0,  # some images flip at once, some at the second or third λ_c, some never
        perceptual_unit=1.0,
        hashes=dict.fromkeys(roles, "0" * 64),
        backbones={role: f"tiny {role}" for role in roles},
    )


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The tiny networks, used by every run of the test."""
    networks = tiny_bundle()
    monkeypatch.setattr(session, "networks_of", lambda config: networks)
    monkeypatch.setattr(session, "networks_of_run", lambda folder, own, device: networks)
    return networks


TINY = {"tau": 3, "guidance_scale": 40.0, "top_k": 0.3}


@pytest.fixture
def tiny_run(bundle: Bundle, tmp_path: Path) -> Callable[..., RunFolder]:
    """A run over the first digits with the tiny networks: tiny_run("folder", limit=5, …)."""

    def make(folder: str = "run", threads: int = 1, **values: Any) -> RunFolder:
        asked = {"method": "maskdime", "limit": 6, "batch_size": 4, "settings": TINY, **values}
        config, images = resolve(Request(dataset="digits", **asked))
        return runner.run(config, images, tmp_path / folder, bundle, threads)

    return make


def pixels(folder: RunFolder, kind: str = "counterfactuals") -> dict[str, bytes]:
    """Name → content of a run's image files."""
    return {path.name: path.read_bytes() for path in sorted((folder.path / kind).iterdir())}


@pytest.fixture
def contents() -> Callable[..., dict[str, bytes]]:
    """The function that reads a run's image files."""
    return pixels


FAKE = "made up for a test"


@pytest.fixture
def measure() -> Callable[..., Measurement]:
    """A measured row with some fields changed."""

    def measure(metric: str = "fid", value: float | None = 1.0, **changes: Any) -> Measurement:
        fields: dict[str, Any] = {
            "dataset": "synthfaces",
            "task": "smile",
            "method": "maskdime",
            "lo": None,
            "hi": None,
            "n": 256,
            "images": 256,
            "population": METRICS[metric].population if metric in METRICS else "all",
            "backbone": "",
            "seed": "0",
            "device": "CPU fake, 1 thread",
            "commit": "0" * 40,
            "date": "2026-01-01",
            "protocol": PROTOCOL,
            "note": "batch 16, τ 60",
        }
        return Measurement(metric=metric, value=value, **{**fields, **changes})

    return measure


def _row(index: int, **changes: Any) -> Row:
    eight: dict[str, Any] = {
        "id": f"fake-{index:05d}",
        "label": 3,
        "prediction": 3,
        "source": 3,
        "target": 8,
        "target_probability_input": 0.1,
        "target_probability": 0.9,
    }
    return made_up_row(index, **{**eight, **changes})


@pytest.fixture
def fake_run() -> Callable[..., Path]:
    """Write a run folder with made-up metrics; returns its path."""

    def fake_run(
        path: Path,
        method: str = "maskdime",
        metrics: dict[str, float | None] | None = None,
        images: int = 4,
        nfe: int = 60,
        rows: list[dict[str, Any]] | None = None,
        **request: Any,
    ) -> Path:
        wanted = {"dataset": "digits", "task": "3-8", "limit": images, **request}
        config, _ = resolve(Request(method=method, **wanted))
        records = [
            {
                "id": id,
                "value": value,
                "low": None,
                "high": None,
                "n": images,
                "population": METRICS[id].population,
                "backbone": None,
                "reason": None if value is not None else FAKE,
                "protocol": PROTOCOL,
            }
            for id, value in {"nfe": float(nfe), **(metrics or {"fr": 100.0})}.items()
        ]
        sitting = {"device": "fake", "threads": 1, "git_commit": "0" * 40, "started": "2026-01-01"}
        (path / "shards").mkdir(parents=True)
        manifest = {**new_manifest(config, {}), "sittings": [sitting]}
        (path / "manifest.json").write_text(json.dumps(manifest))
        document = {"config": manifest["config"], "images": images, "metrics": records}
        (path / "metrics.json").write_text(json.dumps(document))
        changes = rows or [{}] * images
        table = to_table(
            _row(index, **{"nfe": nfe, **change}) for index, change in enumerate(changes)
        )
        pq.write_table(table, path / "shards" / "00000.parquet")
        return path

    return fake_run
