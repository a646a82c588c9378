"""Tiny networks and runs for the harness's tests: real classes, random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vcebench.folders.runfolder import RunFolder
from vcebench.jobs import session
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import PairClassifier
from vcebench.models.unet import UNet, UNetConfig
from vcebench.running import runner
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
