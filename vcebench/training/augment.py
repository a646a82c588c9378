"""Random changes of training images; every draw comes from the generator given.

Images are float32 in [-1, 1] with shape (B, 3, H, W), and so are the results, except that noise
leaves the range.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.folders.images import dequantise


def draw(images: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random batch, with replacement.

    Args:
        images: uint8 with shape (N, 3, H, W).

    Returns:
        float32 images in [-1, 1], (count, 3, H, W), and their indices, (count,).
    """
    chosen = torch.randint(len(images), (count,), generator=generator)
    return to_network(images[chosen]), chosen


def to_network(images: Tensor) -> Tensor:
    """uint8 images as networks take them: float32 in [-1, 1], channels_last."""
    return dequantise(images).contiguous(memory_format=torch.channels_last)


def mirror(x: Tensor, generator: torch.Generator) -> Tensor:
    """Every other image, by chance, seen in a mirror."""
    mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, x.flip(3), x)


def shift(x: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Move each image by up to `pixels` whole pixels; edges are repeated."""
    height, width = x.shape[-2:]
    dy, dx = torch.randint(-pixels, pixels + 1, (2, len(x), 1), generator=generator)
    rows = (torch.arange(height) + dy).clamp(0, height - 1)
    columns = (torch.arange(width) + dx).clamp(0, width - 1)
    image = torch.arange(len(x))[:, None, None]
    moved = x[image, :, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    return moved.permute(0, 3, 1, 2)


def affine(
    x: Tensor, generator: torch.Generator, *, rotate: float, scale: float, shear: float, move: float
) -> Tensor:
    """A random affine map of each image, bilinear, edges repeated.

    Args:
        rotate: largest angle in degrees.
        scale: largest relative change of size.
        shear: largest horizontal shear.
        move: largest shift, as a share of the image.
    """

    def uniform(largest: float) -> Tensor:
        return (2 * torch.rand(len(x), generator=generator) - 1) * largest

    angle, size, slant = uniform(math.radians(rotate)), 1 + uniform(scale), uniform(shear)
    cos, sin = angle.cos() * size, angle.sin() * size
    rows = [cos, slant * cos - sin, 2 * uniform(move), sin, slant * sin + cos, 2 * uniform(move)]
    theta = torch.stack(rows, dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def noise(x: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise, of a random strength up to `largest` for each image."""
    strength = torch.rand(len(x), 1, 1, 1, generator=generator) * largest
    return x + strength * torch.randn(x.shape, generator=generator)


def blur(x: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Gaussian blur, of a random width (in pixels) up to `largest` for each image."""
    count, channels, height, width = x.shape
    sigma = torch.rand(count, 1, generator=generator) * largest + 1e-3
    reach = max(1, math.ceil(2 * largest))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    rows = F.pad(x, (reach, reach, reach, reach), mode="replicate").reshape(
        1, count * channels, height + 2 * reach, width + 2 * reach
    )
    rows = F.conv2d(rows, kernel[:, None, None, :], groups=count * channels)
    rows = F.conv2d(rows, kernel[:, None, :, None], groups=count * channels)
    return rows.view(count, channels, height, width)
