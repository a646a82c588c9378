"""Masks: top-k pixels of a map, square dilation, and the masks of each method.

Masks are boolean with shape (B, 1, H, W); True marks pixels that may be edited.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def area(fraction: float, *sides: int) -> int:
    """Number of pixels a fraction of height × width (or of a count) stands for, at least one.

    The product is taken from left to right and rounded down, as the release does: .36 of 15 × 15
    is 80, where .36 of 225 is 81.
    """
    return max(1, int(math.prod(sides, start=fraction)))


def dilate(mask: Tensor, size: int) -> Tensor:
    """Dilation of a boolean mask (B, C, H, W) by a square of odd side `size`, in pixels."""
    return _grow(_grow(mask, size // 2, dim=2), size // 2, dim=3)


def _grow(mask: Tensor, reach: int, dim: int) -> Tensor:
    """Every True reaches this many pixels to both sides; ten times as fast as pooling on a CPU."""
    grown, length = mask.clone(), mask.shape[dim]
    for shift in range(1, min(reach, length - 1) + 1):
        kept = length - shift
        grown.narrow(dim, shift, kept).logical_or_(mask.narrow(dim, 0, kept))
        grown.narrow(dim, 0, kept).logical_or_(mask.narrow(dim, shift, kept))
    return grown


def nested_top_k(
    magnitude: Tensor, top_k: float, rho: float, dilation: int
) -> tuple[Tensor, Tensor]:
    """MaskDiME's two masks (Guo et al., CVPR 2026, Equation 9 and the text after it).

    Args:
        magnitude: map to rank, with shape (B, C, H, W); each channel is ranked alone.
        top_k: share of the pixels in the outer mask, in (0, 1].
        rho: share of those in the inner mask, in (0, 1].
        dilation: side of the dilation in pixels, odd.

    Returns:
        (M^z, M^x), boolean with the shape of `magnitude`; M^x is a subset of M^z.
    """
    flat = magnitude.flatten(2)
    outer = area(top_k, *magnitude.shape[2:])
    ranked = flat.topk(outer, dim=-1).indices
    masks = []
    for count in (outer, area(rho, outer)):
        chosen = torch.zeros_like(flat, dtype=torch.bool)
        chosen.scatter_(-1, ranked[..., :count], True)
        masks.append(dilate(chosen.view_as(magnitude), dilation))
    return masks[0], masks[1]


def pixel_difference(estimate: Tensor, x: Tensor, threshold: float, dilation: int) -> Tensor:
    """FastDiME's mask: where the estimate has moved away from the input (Weng et al., ECCV 2024).

    The absolute difference on the [0, 1] scale is summed over channels, divided by its maximum
    over the image, compared with the threshold, and dilated.

    Args:
        estimate: clean estimate, with shape (B, C, H, W); of any scale, since only ratios count.
        x: input images, alike.
        threshold: pixels at or above it are edited, in (0, 1).
        dilation: side of the dilation in pixels, odd.

    Returns:
        Boolean mask with shape (B, 1, H, W). An unchanged image is edited nowhere.
    """
    difference = (x - estimate).abs().sum(dim=1, keepdim=True) / 2
    peak = difference.amax(dim=(1, 2, 3), keepdim=True)
    relative = torch.where(peak > 0, difference / peak, 0.0)
    return dilate(relative >= threshold, dilation)


def blend(mask: Tensor | None, inside: Tensor, outside: Tensor) -> Tensor:
    """`inside` where the mask is True or absent, `outside` elsewhere."""
    return inside if mask is None else torch.where(mask, inside, outside)
