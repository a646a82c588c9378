"""A tiny prior, classifier and feature network with smooth, non-trivial gradients."""

import pytest
import torch
from torch import Tensor, nn

from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule


class TinyNetwork(nn.Module):
    """Predicts noise and variance from a convolution, somewhat dependent on the timestep."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(self.conv(z) + t.view(-1, 1, 1, 1) / 500)


class TinyClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5, padding=2)
        self.layer4 = nn.Sequential(nn.Identity(), nn.Identity())  # a ResNet has one

    def margin(self, x: Tensor, target: Tensor, source: Tensor | None = None) -> Tensor:
        return (2 * target - 1) * torch.tanh(self.layer4(self.conv(x))).mean(dim=(1, 2, 3))

    def logit(self, x: Tensor, classes: Tensor) -> Tensor:
        return self.margin(x, classes)

    def log_prob(self, x: Tensor, classes: Tensor) -> Tensor:
        return nn.functional.logsigmoid(self.margin(x, classes))

    def predict(self, x: Tensor) -> Tensor:
        return (self.margin(x, torch.ones(len(x))) > 0).long()


@pytest.fixture
def world():
    """(x, target, prior, guidance, noise) for three 12×12 images, seeded."""
    torch.manual_seed(0)
    x = torch.rand(3, 3, 12, 12) * 2 - 1
    prior = Prior(TinyNetwork().requires_grad_(False), linear_schedule(500, 50))
    classifier = TinyClassifier().requires_grad_(False)
    features = nn.Conv2d(3, 5, 3, padding=1).requires_grad_(False)
    target = 1 - classifier.predict(x)
    robust = TinyClassifier().requires_grad_(False)
    guidance = Guidance(classifier, torch.tensor([8.0, 10.0, 15.0]), features, robust=robust)
    noise = KeyedNoise(seed=3, dataset="tiny", image_ids=["a", "b", "c"], shape=(3, 12, 12))
    return x, target, prior, guidance, noise
