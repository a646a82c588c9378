"""The networks of the example, as somebody might have them; the task files name functions here."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent


def plain(channels: int = 3) -> nn.Module:
    """A small ordinary network: convolutions, batch norm, ReLU, max pooling."""
    layers: list[nn.Module] = []
    for width in (32, 64, 64):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 2))


class Oracle(nn.Module):
    """Another architecture: wide strided convolutions without batch norm, a hidden layer."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv2d(32, 64, 5, stride=2, padding=2),
            nn.GELU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Linear(64 * 4 * 4, 64), nn.GELU(), nn.Linear(64, 2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x))
        return out


def oracle(channels: int = 3) -> nn.Module:
    """The network that judges what was made; it shares neither seed nor architecture."""
    return Oracle(channels)


def _loaded(network: nn.Module, name: str) -> nn.Module:
    network.load_state_dict(torch.load(HERE / name, weights_only=True))
    return network.eval()


def build() -> nn.Module:
    """What strokes.toml explains."""
    return _loaded(plain(3), "classifier.pt")


def build_grey() -> nn.Module:
    """What strokes-grey.toml explains: a network of one channel."""
    return _loaded(plain(1), "classifier-grey.pt")


def build_oracle() -> nn.Module:
    """The oracle of both."""
    return _loaded(oracle(3), "oracle.pt")


def features() -> nn.Module:
    """What the oracle sees before it decides, for FID and S3: Inception does not fit 32 pixels."""
    return _loaded_oracle().features


def _loaded_oracle() -> Oracle:
    network = Oracle(3)
    _loaded(network, "oracle.pt")
    return network
