"""The face's drawing surface: a `Surface` with face coordinates.

Face coordinates are in head units: u to the right, v down, the face about 1.1 wide and 1.4 high,
the origin a little below the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vcebench.data.rendered.surface import Array, Surface, Window, span
from vcebench.data.synthfaces.factors import Factors

SIZE = 64
REGIONS = (
    "background", "long hair", "body", "skin", "mouth", "eyes", "hair", "hat", "eyeglasses",
)  # fmt: skip
"""Names of what a pixel can belong to, by number; brows are eyes, a beard is skin."""


def window(top: int, bottom: int, left: int = 0, right: int = SIZE) -> Window:
    """A rectangle of pixels that holds a shape whatever the pose; the same for every face."""
    return slice(top, bottom), slice(left, right)


@dataclass(frozen=True, eq=False)
class Canvas(Surface):
    """A surface with the pose of each face; a pixel's size is in head units.

    x, y: picture coordinates in [-1, 1].
    u, v: face coordinates of the head's outline; uf: u turned by the yaw, for inner features.
    """

    planes: ClassVar[tuple[str, ...]] = ("x", "y", "u", "v", "uf")
    regions = REGIONS
    x: Array
    y: Array
    u: Array
    v: Array
    uf: Array


def make_canvas(factors: Factors, segments: NDArray[np.uint8] | None = None) -> Canvas:
    """An empty canvas with the pose of each face; see `Surface` for segments."""
    count = len(factors)
    axis = ((np.arange(SIZE, dtype=np.float32) + 0.5) * (2 / SIZE) - 1).astype(np.float32)
    x = np.broadcast_to(axis[None, None, :], (count, SIZE, SIZE))
    y = np.broadcast_to(axis[None, :, None], (count, SIZE, SIZE))

    angle = span(factors, "rotation", -0.14, 0.14)
    cos, sin = 1 - angle**2 / 2, angle
    scale = span(factors, "scale", 1.05, 1.17)
    dx = (x - span(factors, "shift_x", -0.06, 0.06)) / scale
    dy = (y - span(factors, "shift_y", 0.03, 0.10)) / scale
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    yaw = span(factors, "yaw", -0.10, 0.10)
    uf = u - yaw * np.clip(1 - (u * u) * 2.2, 0, 1)
    rgb = np.zeros((count, 3, SIZE, SIZE), dtype=np.float32)
    pixel = np.float32(2 / SIZE) / scale
    return Canvas(factors, rgb, pixel, x, y, u, v, uf, segments=segments)
