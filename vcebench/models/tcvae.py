"""The autoencoder that DiVE published for CelebA, at full size.

A code of 128 numbers for pictures of 128 × 128; each level of the decoder is modulated by the code.
Layers have the names of the published weights, and the decoder's convolutions their spectral norms.

Reference: Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations (Rodríguez
et al., ICCV 2021), and the program released with it. What is dropped in training is not drawn here.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

CODE = 128
ENCODER = ((64, 1), (128, 2), (256, 2), (512, 2), (512, 2))
"""Channels and residual blocks of each level, from the picture down; the first one halves."""
DECODER = ((512, 1), (256, 1), (128, 2), (64, 2), (64, 1))
"""The same on the way up; the first block of each doubles."""
GRID, HIDDEN = 4, 2048


class DiVEAutoencoder(nn.Module):
    """Pictures (B, 3, 128, 128) in [-1, 1] to codes (B, 128), and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Encoder()
        self.decoder = _Decoder()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the code, each with shape (B, 128)."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of codes (B, 128)."""
        picture: Tensor = self.decoder(z)
        return picture


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        before = 3
        for level, (width, blocks) in enumerate(ENCODER):
            group = nn.Module()
            for k in range(blocks):
                group.add_module(f"block_{k}", _Down(before, width, halved=k == 0))
                before = width
            self.add_module(f"group{level}", group)
        self.mlp = _MLP(before * GRID * GRID, 2 * CODE, layers=1)
        self.bn_out = nn.InstanceNorm2d(before, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        for level in range(len(ENCODER)):
            for block in self.get_submodule(f"group{level}").children():
                x = block(x)
        code: Tensor = self.mlp(F.silu(self.bn_out(x)).flatten(1))
        return code


class _Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        before = DECODER[0][0]
        self.mlp = _MLP(CODE, before * GRID * GRID, layers=2)
        for level, (width, blocks) in enumerate(DECODER):
            group = nn.Module()
            for k in range(blocks):
                group.add_module(f"block{k}", _Up(before, width, doubled=k == 0))
                before = width
            self.add_module(f"group{level}", group)
        self.bn_out = nn.InstanceNorm2d(before, affine=True)
        self.conv_out = nn.Conv2d(before, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mlp(z).unflatten(1, (-1, GRID, GRID))
        for level in range(len(DECODER)):
            for block in self.get_submodule(f"group{level}").children():
                x = block(x, z)
        picture: Tensor = self.conv_out(F.silu(self.bn_out(x)))
        return picture.tanh()


class _Down(nn.Module):
    """A residual block that pools its sum by two, or does not."""

    def __init__(self, channels: int, width: int, halved: bool) -> None:
        super().__init__()
        self.halved = halved
        self.bn0 = nn.InstanceNorm2d(channels, affine=True)
        self.conv0 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.InstanceNorm2d(width, affine=True)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.reduces = channels != width
        if self.reduces:
            self.conv_reduce = nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.bn1(self.conv0(F.silu(self.bn0(x))))))
        out: Tensor = (self.conv_reduce(x) if self.reduces else x) + h
        return F.avg_pool2d(out, 2) if self.halved else out


class _Up(nn.Module):
    """A residual block modulated by the code, after a nearest doubling or none."""

    def __init__(self, channels: int, width: int, doubled: bool) -> None:
        super().__init__()
        self.doubled = doubled
        self.bn0 = _Modulated(channels)
        self.conv0 = spectral_norm(nn.Conv2d(channels, width, 3, padding=1, bias=False))
        self.bn1 = _Modulated(width)
        self.conv1 = spectral_norm(nn.Conv2d(width, width, 3, padding=1, bias=False))
        self.reduces = channels != width
        if self.reduces:
            self.conv_short = spectral_norm(nn.Conv2d(channels, width, 1, bias=False))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        h = F.silu(self.bn0(x, z))
        if self.doubled:
            x, h = (F.interpolate(map, scale_factor=2) for map in (x, h))
        h = self.conv1(F.silu(self.bn1(self.conv0(h), z)))
        out: Tensor = h + (self.conv_short(x) if self.reduces else x)
        return out


class _Modulated(nn.Module):
    """Instance norm whose scale and shift are linear in the code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.condition = nn.Linear(CODE, 2 * channels)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        scale, shift = self.condition(z)[:, :, None, None].chunk(2, dim=1)
        out: Tensor = F.instance_norm(x) * scale + shift
        return out


class _MLP(nn.Module):
    def __init__(self, inputs: int, outputs: int, layers: int) -> None:
        super().__init__()
        for k, (before, width) in enumerate(pairwise((inputs, *[HIDDEN] * layers))):
            self.add_module(f"linear{k}", nn.Linear(before, width, bias=False))
            self.add_module(f"bn{k}", nn.LayerNorm(width))
        self.layers = layers
        self.linear_out = nn.Linear(HIDDEN, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for k in range(self.layers):
            x = F.silu(self.get_submodule(f"bn{k}")(self.get_submodule(f"linear{k}")(x)))
        out: Tensor = self.linear_out(x)
        return out
