"""The golden runs' tiny networks and recorded noise."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.classifier import BinaryClassifier, MulticlassClassifier, TargetClassifier
from vcebench.models.unet import UNet, UNetConfig

GOLDEN = Path(__file__).parent / "golden"
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def load(name: str) -> dict[str, Tensor]:
    """A golden file; float16 tensors hold exact values and become float32."""
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


class GoldenRun:
    """A recorded run: tensors, settings, and its noise, served by purpose and step."""

    def __init__(self, name: str) -> None:
        path = GOLDEN / "trajectories" / f"{name}.safetensors"
        self.tensors = load(f"trajectories/{name}")
        with safe_open(path, "pt") as file:
            meta = json.loads(file.metadata()["meta"])
        self.settings = meta["settings"]
        self.counts = meta["counts"]
        self._draws = {}
        for entry in meta["noise_draws"]:
            purpose = "outside" if entry["purpose"] == "q_sample_of_input" else "posterior"
            if "inner_step" in entry:
                purpose = "inner"
            key = (purpose, entry["outer_step"], entry.get("inner_step", 0))
            self._draws[key] = self.tensors[f"noise_{entry['draw']:03d}"]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def draw(self, purpose: str, step: int, inner_step: int = 0, pass_index: int = 0) -> Tensor:
        if purpose == "start":
            return self.tensors["noise_init"]
        return self._draws[(purpose, step, inner_step)]


class GoldenClassifier(nn.Module):
    """The golden runs' classifier with one logit."""

    def __init__(self, logits: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc = nn.Linear(16, logits)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.softplus(self.conv2(nn.functional.softplus(self.conv1(x))))
        out: Tensor = self.fc(h.mean(dim=(2, 3)))
        return out

    def margin(self, x: Tensor, target: Tensor, source: Tensor | None = None) -> Tensor:
        return (2 * target - 1) * self(x)[:, 0]

    def predict(self, x: Tensor) -> Tensor:
        return (self(x)[:, 0] > 0).long()


class GoldenPerceptual(nn.Module):
    """The golden runs' feature network; its input is already clamped to [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(((x + 1) / 2 - MEAN) / STD)
        return out


@pytest.fixture(scope="session")
def golden_unet() -> UNet:
    unet = UNet(
        UNetConfig(
            model_channels=32,
            channel_mult=(1, 2),
            num_res_blocks=1,
            attention_factors=(2,),
            num_heads=2,
        )
    )
    unet.load_state_dict(load("trajectories/unet"), strict=True)
    return unet.eval()


@pytest.fixture(scope="session")
def golden_bridge(golden_unet: UNet) -> UNet:
    """The bridge network: the U-Net without its variance channels."""
    weights = dict(golden_unet.state_dict())
    weights |= {key: weights[key][:3] for key in ("out.2.weight", "out.2.bias")}
    network = UNet(replace(golden_unet.config, out_channels=3))
    network.load_state_dict(weights, strict=True)
    return network.eval()


@pytest.fixture(scope="session")
def golden_prior(golden_unet: UNet) -> Prior:
    return Prior(golden_unet, linear_schedule(500, 200))


@pytest.fixture(scope="session")
def golden_classifier() -> GoldenClassifier:
    classifier = GoldenClassifier()
    classifier.load_state_dict(load("trajectories/classifier"), strict=True)
    return classifier.eval()


class GoldenLogits(nn.Module):
    """A golden classifier asked for classes: five logits, or the pair (f, -f) of a single one."""

    def __init__(self, network: nn.Module, pair: bool = False) -> None:
        super().__init__()
        self.network, self.pair = network, pair

    def logits(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x)
        return torch.cat([out, -out], dim=1) if self.pair else out

    def logit(self, x: Tensor, classes: Tensor) -> Tensor:
        return self.logits(x).gather(1, classes[:, None])[:, 0]

    def log_prob(self, x: Tensor, classes: Tensor) -> Tensor:
        logits = self.logits(x)
        log_probs = nn.functional.logsigmoid(logits) if self.pair else logits.log_softmax(dim=1)
        return log_probs.gather(1, classes[:, None])[:, 0]

    def predict(self, x: Tensor) -> Tensor:
        return self.logits(x).argmax(dim=1)


@pytest.fixture(scope="session")
def five() -> GoldenLogits:
    """The golden classifier with five logits."""
    network = GoldenClassifier(logits=5)
    network.load_state_dict(load("trajectories/classifier_multiclass"), strict=True)
    return GoldenLogits(network.eval())


@pytest.fixture(scope="session")
def pair(golden_classifier: GoldenClassifier) -> GoldenLogits:
    """The golden classifier with one logit f, as the pair (f, -f)."""
    return GoldenLogits(golden_classifier, pair=True)


class ByImageNet(nn.Module):
    """A network whose images are normalised with ImageNet's mean and deviation."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(((x + 1) / 2 - MEAN) / STD)
        return out


@pytest.fixture(scope="session")
def golden_classifiers(golden_classifier: GoldenClassifier) -> dict[bool, TargetClassifier]:
    """binary? → the golden runs' classifier with one logit, or with five."""
    several = GoldenClassifier(5)
    several.load_state_dict(load("trajectories/classifier_multiclass"), strict=True)
    return {
        True: BinaryClassifier(golden_classifier).requires_grad_(False),
        False: MulticlassClassifier(ByImageNet(several.eval())).requires_grad_(False),
    }


@pytest.fixture(scope="session")
def golden_perceptual() -> GoldenPerceptual:
    perceptual = GoldenPerceptual()
    perceptual.body.load_state_dict(load("trajectories/perceptual"), strict=True)
    return perceptual.eval()


@pytest.fixture(scope="session")
def golden_run() -> Callable[[str], GoldenRun]:
    return GoldenRun


@pytest.fixture(scope="session")
def golden_file() -> Callable[[str], dict[str, Tensor]]:
    return load
