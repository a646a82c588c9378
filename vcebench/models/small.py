"""The small networks that ship with the package, for images of 32 to 128 pixels.

All take float32 images in [-1, 1] with shape (B, 3, H, W). They down-sample by averaging only:
a strided or max-pooled classifier has a checkerboard in its input gradient, and a counterfactual
guided by such a gradient is an adversarial pattern, not a picture (Odena et al., 2016). One strided
classifier is among them to show just that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.models.autoencoder import ResidualAutoencoder
from vcebench.models.diffusers_prior import build_diffusers
from vcebench.models.painter import SemanticAutoencoder
from vcebench.models.unet import UNet, UNetConfig


class SmoothClassifier(nn.Module):
    """Plain convolutional classifier with smooth activations; made to be differentiated.

    Each stage is two 3x3 convolutions (group norm, SiLU) and an average pooling by two; the
    logits are read from the last stage's map, averaged down to a grid.

    Args:
        outputs: number of logits.
        widths: channels of each stage.
        grid: side of that grid; 1 is the mean over all pixels, more keeps where things are.
    """

    def __init__(self, outputs: int, widths: tuple[int, ...] = (24, 48, 64), grid: int = 1) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = 3
        for width in widths:
            stages += [_conv(channels, width), nn.GroupNorm(8, width), nn.SiLU()]
            stages += [_conv(width, width), nn.GroupNorm(8, width), nn.SiLU(), nn.AvgPool2d(2)]
            channels = width
        self.stages = nn.Sequential(*stages)
        self.grid = grid
        self.head = nn.Linear(channels * grid**2, outputs)

    def features(self, x: Tensor) -> Tensor:
        """Input of the last layer, with shape (B, widths[-1]·grid²)."""
        return _pooled(self.stages(x), self.grid)

    def forward(self, x: Tensor) -> Tensor:
        """Logits with shape (B, outputs)."""
        out: Tensor = self.head(self.features(x))
        return out


class StridedClassifier(nn.Module):
    """Ordinary convolutional classifier: strides and ReLU, so that nothing smooths its gradient.

    Each stage is a 3x3 convolution with stride two and another one, each with group norm and ReLU;
    the logits are read from the last stage's map, averaged down to a grid.

    Args:
        outputs: number of logits.
        widths: channels of each stage.
        grid: side of that grid, see `SmoothClassifier`.
    """

    def __init__(self, outputs: int, widths: tuple[int, ...] = (24, 48, 64), grid: int = 1) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = 3
        for width in widths:
            stages += [nn.Conv2d(channels, width, 3, stride=2, padding=1)]
            stages += [nn.GroupNorm(8, width), nn.ReLU()]
            stages += [_conv(width, width), nn.GroupNorm(8, width), nn.ReLU()]
            channels = width
        self.stages = nn.Sequential(*stages)
        self.grid = grid
        self.head = nn.Linear(channels * grid**2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits with shape (B, outputs)."""
        out: Tensor = self.head(_pooled(self.stages(x), self.grid))
        return out


class ResidualEncoder(nn.Module):
    """Residual network (pre-activation, ReLU): representations, oracles, identity embedders.

    Args:
        outputs: number of logits, or dimension of an embedding.
        widths: channels of each level; levels are an average pooling by two apart.
        blocks: residual blocks at each level.
        grid: side of the grid that the last level's map is averaged to before the head.
    """

    def __init__(
        self,
        outputs: int,
        widths: tuple[int, ...] = (16, 32, 64),
        blocks: int = 1,
        grid: int = 1,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, widths[0])]
        channels = widths[0]
        for level, width in enumerate(widths):
            if level:
                layers.append(nn.AvgPool2d(2))
            for _ in range(blocks):
                layers.append(_Residual(channels, width))
                channels = width
        self.layers = nn.Sequential(*layers, nn.GroupNorm(8, channels), nn.ReLU())
        self.grid = grid
        self.head = nn.Linear(channels * grid**2, outputs)

    def features(self, x: Tensor) -> Tensor:
        """Input of the head, with shape (B, widths[-1]·grid²)."""
        return _pooled(self.layers(x), self.grid)

    def forward(self, x: Tensor) -> Tensor:
        """Logits or embedding, with shape (B, outputs)."""
        out: Tensor = self.head(self.features(x))
        return out


class PerceptualFeatures(nn.Module):
    """Features φ of the perceptual loss: the small counterpart of VGG-19's `features[:18]`.

    Two ReLU convolutions at full and two at half resolution.

    Args:
        widths: channels at full and at half resolution.
    """

    def __init__(self, widths: tuple[int, int] = (16, 32)) -> None:
        super().__init__()
        full, half = widths
        self.channels = half
        self.layers = nn.Sequential(
            *[_conv(3, full), nn.ReLU(), _conv(full, full), nn.ReLU(), nn.AvgPool2d(2)],
            *[_conv(full, half), nn.ReLU(), _conv(half, half), nn.ReLU()],
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features with shape (B, widths[1], H/2, W/2), all ≥ 0."""
        # Forward and backward in channels last take 0.78 of the time on a CPU.
        out: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return out


class FeatureView(nn.Module):
    """The `features` of a network as a module of its own: (B, 3, H, W) → (B, D)."""

    def __init__(self, network: SmoothClassifier | ResidualEncoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.features(x)


class _Residual(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, channels), nn.ReLU(), _conv(channels, width))
        self.second = nn.Sequential(nn.GroupNorm(8, width), nn.ReLU(), _conv(width, width))
        same = channels == width
        self.skip = nn.Identity() if same else nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.skip(x) + self.second(self.first(x))
        return out


def _pooled(features: Tensor, grid: int) -> Tensor:
    """A map (B, C, H, W) averaged to grid×grid and flattened; the plain mean for a grid of 1."""
    if grid == 1:
        return features.mean(dim=(2, 3))
    return F.adaptive_avg_pool2d(features, grid).flatten(1)


def _conv(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1)


def _tupled(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A constructor that takes JSON's lists where the class wants tuples."""

    def construct(**config: Any) -> nn.Module:
        return build(**{k: tuple(v) if isinstance(v, list) else v for k, v in config.items()})

    return construct


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "unet": _tupled(lambda **config: UNet(UNetConfig(**config))),
    "diffusers-unet": build_diffusers,
    "smooth-classifier": _tupled(SmoothClassifier),
    "strided-classifier": _tupled(StridedClassifier),
    "residual-encoder": _tupled(ResidualEncoder),
    "perceptual-features": _tupled(PerceptualFeatures),
    "residual-autoencoder": _tupled(ResidualAutoencoder),
    "semantic-autoencoder": _tupled(SemanticAutoencoder),
}
"""Name in a shipped file → constructor; called with the keywords stored beside the name."""


def build_network(architecture: str, config: dict[str, Any]) -> nn.Module:
    """A freshly initialised network of a named architecture.

    Raises ValueError for a name or a configuration that this version does not know.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {architecture!r}: one of {sorted(ARCHITECTURES)}")
    try:
        return ARCHITECTURES[architecture](**config)
    except TypeError as error:
        raise ValueError(f"architecture {architecture!r} does not fit {config}: {error}") from error
