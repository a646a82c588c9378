"""Directions: gradients whose length is thrown away, and a robust one moved onto a cone.

Every image is taken by itself; tensors have shape (B, C, H, W).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TINY = 1e-22
"""Added to norms below it, so that a zero gradient stays zero."""


def length(a: Tensor) -> Tensor:
    """Euclidean norm of each image, with shape (B, 1, 1, 1)."""
    norms: Tensor = torch.linalg.vector_norm(a.flatten(1), dim=1)
    return norms.view(-1, *[1] * (a.ndim - 1))


def unit(a: Tensor) -> Tensor:
    """a / ‖a‖; zero stays zero."""
    norms = length(a)
    return a / torch.where(norms < TINY, norms + TINY, norms)


def matched(a: Tensor, reference: Tensor) -> Tensor:
    """The direction of a with the length of another image: a / ‖a‖ · ‖reference‖."""
    return unit(a) * length(reference)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between two images in radians, with shape (B, 1, 1, 1); π/2 if one of them is zero."""
    return _dot(unit(a), unit(b)).clamp(-1, 1).arccos()


def on_cone(moved: Tensor, axis: Tensor, degrees: float) -> Tensor:
    """A direction moved to the boundary of a cone, in the plane of both.

    With u = axis/‖axis‖ and w the unit vector of what is orthogonal to it in `moved`, that is
    u + tan(α)·w; its length says nothing. An image whose two directions are parallel gets u.

    Args:
        moved: direction to move.
        axis: the cone's axis.
        degrees: α, half of the cone's opening, in [0, 90).
    """
    u = unit(axis)
    w = unit(moved - _dot(moved, u) * u)
    return u + math.tan(math.radians(degrees)) * w


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(dim=1).view(-1, *[1] * (a.ndim - 1))


def channel_angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle in radians between the channels of two images at each of their points, (B, 1, H, W).

    NaN where one of them is zero.
    """
    norms = torch.linalg.vector_norm(a, dim=1, keepdim=True)
    norms = norms * torch.linalg.vector_norm(b, dim=1, keepdim=True)
    cosine: Tensor = (a * b).sum(dim=1, keepdim=True) / norms
    return cosine.clamp(-1, 1).arccos()


def channels_on_cone(towards: Tensor, a: Tensor, degrees: float) -> Tensor:
    """The channels of every point turned by an angle towards those of another image.

    a + ‖a‖·tan(α)·w, with w the unit vector of what is orthogonal to a in `towards`.

    Args:
        towards: (B, C, H, W).
        a: what is turned, alike.
        degrees: α, in [0, 90).
    """
    size = torch.linalg.vector_norm(a, dim=1, keepdim=True)
    u = a / size.clamp_min(TINY)
    across = towards - (towards * u).sum(dim=1, keepdim=True) * u
    w = across / torch.linalg.vector_norm(across, dim=1, keepdim=True).clamp_min(TINY)
    turned: Tensor = a + size * math.tan(math.radians(degrees)) * w
    return turned
