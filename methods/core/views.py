"""Views of an image: what a classifier is asked about instead of the image itself, several times.

The first view is the image, the others are turned, shifted and seen in perspective at random, each
of them with probability 0.7: rotations up to 15°, shifts up to a tenth of the image, corners moved
inwards by up to 35 % of a side (Diffusion Visual Counterfactual Explanations, Augustin et al.,
NeurIPS 2022, as released).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.methods.core.noise import Noise

PROBABILITY, DEGREES, SHIFT, DISTORTION = 0.7, 15.0, 0.1, 0.7

Grids = tuple[Tensor, Tensor]
"""Where two warps sample, each (M, H, W, 2) in [-1, 1]: affine, then perspective."""


def see(x: Tensor, views: int, size: int, grids: Grids | None) -> Tensor:
    """Views of images, (views·B, C, H', W'): all images themselves, then all first warps, …

    Args:
        x: images with shape (B, C, H, W).
        views: how many of each; one is the image as it is, and neither pooled nor warped.
        size: side that images are pooled to (averages), 0 for none.
        grids: warps of the others, for (views - 1)·B images.
    """
    if views == 1:
        return x
    if size:
        x = F.adaptive_avg_pool2d(x, size)
    assert grids is not None
    warped = x.repeat(views - 1, 1, 1, 1)
    for grid, padding in zip(grids, ("border", "zeros"), strict=True):
        warped = F.grid_sample(warped, grid, padding_mode=padding, align_corners=False)
    return torch.cat([x, warped])


def draw_grids(
    noise: Noise, step: int, which: int, views: int, shape: tuple[int, int, int]
) -> Grids:
    """Random warps of (views - 1)·B images of shape (C, H, W), keyed by image.

    which: 0 or 1; two classifiers see different views.
    """
    affine, perspective = (
        _uniform(noise, step, 2 * which + kind, (views - 1, numbers))
        for kind, numbers in enumerate((4, 9))
    )
    size = (len(affine), *shape)
    return (
        F.affine_grid(_affine(affine, *shape[1:]), list(size), align_corners=False),
        _perspective_grid(perspective, *shape[1:]),
    )


def _uniform(noise: Noise, step: int, inner: int, shape: tuple[int, int]) -> Tensor:
    """Uniform numbers of every warp, (M, K): all images' first, then their second, …"""
    uniform: Tensor = torch.special.ndtr(noise.draw("views", step, inner, shape=shape))
    return uniform.transpose(0, 1).flatten(0, 1)


def _affine(uniform: Tensor, height: int, width: int) -> Tensor:
    """Turns and shifts as matrices (M, 2, 3) of normalised coordinates."""
    applied = (uniform[:, 0] < PROBABILITY).float()
    angle = applied * math.radians(DEGREES) * (2 * uniform[:, 1] - 1)
    shift = applied[:, None] * 2 * SHIFT * (2 * uniform[:, 2:4] - 1)
    cos, sin = angle.cos(), angle.sin()
    # A turn in pixels: coordinates run from -1 to 1 over sides of different lengths.
    ratio = height / width
    rows = [cos, sin * ratio, shift[:, 0], -sin / ratio, cos, shift[:, 1]]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _perspective_grid(uniform: Tensor, height: int, width: int) -> Tensor:
    """Where to sample so that the corners of an image come to lie further inwards."""
    applied = (uniform[:, 0] < PROBABILITY).float()[:, None, None]
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    corners = corners.to(uniform).expand(len(uniform), 4, 2)
    # Half a side is 1 here, so DISTORTION / 2 of a side is DISTORTION.
    moved = corners - applied * DISTORTION * uniform[:, 1:].view(-1, 4, 2) * corners
    matrix = _homography(moved, corners)
    y = (2 * torch.arange(height, device=uniform.device) + 1) / height - 1
    x = (2 * torch.arange(width, device=uniform.device) + 1) / width - 1
    grid = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width).to(x)], -1)
    mapped = torch.einsum("mij,hwj->mhwi", matrix, grid.to(uniform))
    return mapped[..., :2] / mapped[..., 2:]


def _homography(source: Tensor, target: Tensor) -> Tensor:
    """Projective maps (M, 3, 3) that take four points each to four others, (M, 4, 2) both."""
    x, y = source.double().unbind(-1)
    u, v = target.double().unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = torch.cat(
        [
            torch.stack([x, y, one, zero, zero, zero, -x * u, -y * u], dim=-1),
            torch.stack([zero, zero, zero, x, y, one, -x * v, -y * v], dim=-1),
        ],
        dim=1,
    )
    solved = torch.linalg.solve(rows, torch.cat([u, v], dim=1))
    matrix = torch.cat([solved, torch.ones_like(solved[:, :1])], dim=1)
    return matrix.view(-1, 3, 3).to(source.dtype)
