"""The drawing surface: face coordinates, soft shapes and blending for a batch of faces.

Face coordinates are in head units: u to the right, v down, the face about 1.1 wide and 1.4 high,
the origin a little below the eyes. Coverage of a shape comes from its signed distance (negative
inside) by a linear ramp one pixel wide. All arrays are float32 with shape (B, H, W), factors have
shape (B, 1, 1), colours (B, 3, 1, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcebench.data.synthfaces.factors import Factors

SIZE = 64
Array = NDArray[np.floating[Any]]
"""An array of float32; wider for the type checker, which cannot follow NumPy's promotion."""
Window = tuple[slice, slice]
FULL: Window = (slice(0, SIZE), slice(0, SIZE))


def window(top: int, bottom: int, left: int = 0, right: int = SIZE) -> Window:
    """A rectangle of pixels that holds a shape whatever the pose; the same for every face."""
    return slice(top, bottom), slice(left, right)


@dataclass(frozen=True, eq=False)
class Canvas:
    """Coordinates of (a window of) a batch of pictures, and the factors that are drawn there.

    rgb: the picture so far, in [0, 1] with shape (B, 3, H, W); drawn on in place.
    x, y: picture coordinates in [-1, 1].
    u, v: face coordinates of the head's outline; uf: u turned by the yaw, for inner features.
    pixel: size of a pixel in head units, shape (B, 1, 1).
    """

    factors: Factors
    rgb: Array
    x: Array
    y: Array
    u: Array
    v: Array
    uf: Array
    pixel: Array

    def window(self, where: Window) -> Canvas:
        """The same canvas, seen through a window; drawing on it draws on the whole."""
        parts = {n: getattr(self, n)[..., *where] for n in ("x", "y", "u", "v", "uf")}
        return replace(self, rgb=self.rgb[..., *where], **parts)

    def raw(self, name: str) -> Array:
        """A factor as it is, in [0, 1), shape (B, 1, 1)."""
        return self.factors.value(name).astype(np.float32)[:, None, None]

    def span(self, name: str, low: float, high: float) -> Array:
        """A uniform factor stretched to [low, high), shape (B, 1, 1)."""
        return (low + (high - low) * self.factors.value(name)).astype(np.float32)[:, None, None]

    def has(self, name: str) -> Array:
        """An attribute as 0 or 1, shape (B, 1, 1)."""
        return self.raw(name)

    def pick(self, name: str, if_true: float | Array, if_false: float | Array) -> Array:
        """One value where the attribute holds, another where not, shape (B, 1, 1)."""
        flag = self.factors.value(name)[:, None, None]
        return np.where(flag, np.float32(if_true), np.float32(if_false)).astype(np.float32)

    def cover(self, distance: Array, softness: float = 1.0) -> Array:
        """Coverage in [0, 1] of the shape where `distance` (head units) is negative."""
        ramp: Array = np.clip(0.5 - distance / (self.pixel * softness), 0, 1)
        return ramp

    def paint(self, colour: Array, coverage: Array) -> None:
        """Blend a colour, shape (B, 3, 1, 1) or (B, 3, H, W), over the picture."""
        rgb = self.rgb
        rgb += coverage[:, None] * (colour - rgb)

    def shade(self, factor: Array) -> None:
        """Multiply the picture by a factor of shape (B, H, W)."""
        rgb = self.rgb
        rgb *= factor[:, None]


def make_canvas(factors: Factors) -> Canvas:
    """An empty canvas with the pose of each face."""
    count = len(factors)
    axis = ((np.arange(SIZE, dtype=np.float32) + 0.5) * (2 / SIZE) - 1).astype(np.float32)
    x = np.broadcast_to(axis[None, None, :], (count, SIZE, SIZE))
    y = np.broadcast_to(axis[None, :, None], (count, SIZE, SIZE))

    def span(name: str, low: float, high: float) -> Array:
        return (low + (high - low) * factors.value(name)).astype(np.float32)[:, None, None]

    angle = span("rotation", -0.14, 0.14)
    cos, sin = 1 - angle**2 / 2, angle
    scale = span("scale", 1.05, 1.17)
    dx = (x - span("shift_x", -0.06, 0.06)) / scale
    dy = (y - span("shift_y", 0.03, 0.10)) / scale
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    yaw = span("yaw", -0.10, 0.10)
    uf = u - yaw * np.clip(1 - (u * u) * 2.2, 0, 1)
    rgb = np.zeros((count, 3, SIZE, SIZE), dtype=np.float32)
    return Canvas(factors, rgb, x, y, u, v, uf, (np.float32(2 / SIZE) / scale))


def bump(dx: Array, dy: Array, width: float | Array, height: float | Array) -> Array:
    """A Gaussian hill of height 1."""
    a, b = dx / width, dy / height
    hill: Array = np.exp(-(a * a + b * b))
    return hill


def ease(low: float | Array, high: float | Array, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    smooth: Array = t * t * (3 - 2 * t)
    return smooth


def colour(*channels: float) -> Array:
    """A constant colour with shape (1, 3, 1, 1)."""
    return np.array(channels, dtype=np.float32).reshape(1, 3, 1, 1)


def gradient(position: Array, stops: Sequence[tuple[float, ...]]) -> Array:
    """Colours (B, 3, 1, 1) at `position` (B, 1, 1) in [0, 1] along evenly spaced stops."""
    table = np.array(stops, dtype=np.float32)
    place = np.clip(position[:, 0, 0], 0, 1) * np.float32(len(stops) - 1)
    lower = np.minimum(place.astype(np.int64), len(stops) - 2)
    part = (place - lower.astype(np.float32))[:, None]
    mixed: Array = table[lower] * (1 - part) + table[lower + 1] * part
    return mixed[:, :, None, None].astype(np.float32)


HUES = (
    (0.72, 0.30, 0.28), (0.74, 0.52, 0.28), (0.62, 0.62, 0.34), (0.34, 0.56, 0.40),
    (0.28, 0.54, 0.60), (0.32, 0.42, 0.68), (0.52, 0.38, 0.62), (0.72, 0.38, 0.50),
)  # fmt: skip
"""Colours of things (backgrounds, clothes, hats), around the circle."""


def thing_colour(hue: Array, tone: Array, chroma: float = 0.7) -> Array:
    """A colour from a hue and a lightness, both (B, 1, 1) in [0, 1]."""
    base = gradient(hue, HUES)
    grey = base.mean(axis=1, keepdims=True)
    level = (0.25 + 1.25 * tone)[:, None]
    mixed: Array = np.clip((grey + chroma * (base - grey)) * level, 0, 1)
    return mixed
