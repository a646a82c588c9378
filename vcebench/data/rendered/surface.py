"""The drawing surface: soft shapes and blending for a batch of pictures.

Coverage of a shape comes from its signed distance (negative inside) by a linear ramp one pixel
wide. All arrays are float32 with shape (B, H, W), factors have shape (B, 1, 1), colours
(B, 3, 1, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
"""An array of float32; wider for the type checker, which cannot follow NumPy's promotion."""
Window = tuple[slice, slice]


COVERED = 0.5
"""A pixel belongs to what covers more than this of it and is in front of all else that does."""


class HasValues(Protocol):
    """The causes of a batch of B pictures by name, each with shape (B,)."""

    def __len__(self) -> int: ...

    def value(self, name: str) -> NDArray[np.float64] | NDArray[np.bool_]: ...


class Sliceable(HasValues, Protocol):
    """Causes of which a slice of rows can be taken."""

    def __getitem__(self, rows: slice) -> Self: ...


Rows = TypeVar("Rows", bound=Sliceable)


@dataclass(frozen=True, eq=False)
class Surface:
    """Coordinates of (a window of) a batch of pictures, and the factors that are drawn there.

    rgb: the picture so far, in [0, 1] with shape (B, 3, H, W); drawn on in place.
    segments: number of the region that every pixel belongs to so far, uint8 (B, H, W), drawn on in
        place; None if nobody asks. What is painted now is `region`; None belongs to what is below.
    pixel: size of a pixel in the units of the shapes drawn, shape (B, 1, 1).
    planes: names of the coordinate arrays, which subclasses add.
    regions: names of the regions by number, which subclasses give.
    """

    factors: HasValues
    rgb: Array
    pixel: Array
    planes: ClassVar[tuple[str, ...]] = ()
    regions: ClassVar[tuple[str, ...]] = ()
    segments: NDArray[np.uint8] | None = field(default=None, kw_only=True)
    region: int | None = field(default=None, kw_only=True)

    def window(self, where: Window) -> Self:
        """The same surface, seen through a window; drawing on it draws on the whole."""
        parts = {name: getattr(self, name)[..., *where] for name in self.planes}
        if self.segments is not None:
            parts["segments"] = self.segments[..., *where]
        return replace(self, rgb=self.rgb[..., *where], **parts)

    def of(self, region: str) -> Self:
        """The same surface; what is painted on it belongs to a region."""
        return replace(self, region=self.regions.index(region))

    def raw(self, name: str) -> Array:
        """A factor as it is, in [0, 1), shape (B, 1, 1)."""
        return self.factors.value(name).astype(np.float32)[:, None, None]

    def span(self, name: str, low: float, high: float) -> Array:
        """A uniform factor stretched to [low, high), shape (B, 1, 1)."""
        return span(self.factors, name, low, high)

    def has(self, name: str) -> Array:
        """An attribute as 0 or 1, shape (B, 1, 1)."""
        return self.raw(name)

    def pick(self, name: str, if_true: float | Array, if_false: float | Array) -> Array:
        """One value where the attribute holds, another where not, shape (B, 1, 1)."""
        flag = self.factors.value(name)[:, None, None]
        return np.where(flag, np.float32(if_true), np.float32(if_false)).astype(np.float32)

    def cover(self, distance: Array, softness: float = 1.0) -> Array:
        """Coverage in [0, 1] of the shape where `distance` is negative."""
        ramp: Array = np.clip(0.5 - distance / (self.pixel * softness), 0, 1)
        return ramp

    def paint(self, colour: Array, coverage: Array) -> None:
        """Blend a colour, shape (B, 3, 1, 1) or (B, 3, H, W), over the picture."""
        rgb = self.rgb
        rgb += coverage[:, None] * (colour - rgb)
        if self.segments is not None and self.region is not None:
            self.segments[coverage > COVERED] = self.region

    def shade(self, factor: Array) -> None:
        """Multiply the picture by a factor of shape (B, H, W)."""
        rgb = self.rgb
        rgb *= factor[:, None]

    def grain(self, level: Array, noise: Array) -> None:
        """Add a camera's grain, partly in colour: level (B, 1, 1), unit noise (B, H, W)."""
        rgb = self.rgb
        rgb += (level * noise)[:, None]
        tinted = (0.4 * level) * np.roll(noise, 7, axis=2)
        rgb[:, 0] += tinted
        rgb[:, 2] -= tinted

    def finished(self) -> NDArray[np.uint8]:
        """The picture as uint8."""
        return np.rint(np.clip(self.rgb, 0, 1) * 255).astype(np.uint8)


def span(factors: HasValues, name: str, low: float, high: float) -> Array:
    """A uniform factor stretched to [low, high), shape (B, 1, 1)."""
    return (low + (high - low) * factors.value(name)).astype(np.float32)[:, None, None]


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


def smoothed(field: Array) -> Array:
    """A 3x3 mean; the border wraps around."""
    rows = field + np.roll(field, 1, axis=1) + np.roll(field, -1, axis=1)
    total: Array = rows + np.roll(rows, 1, axis=2) + np.roll(rows, -1, axis=2)
    return total * np.float32(1 / 9)


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


def in_chunks(
    factors: Rows, draw: Callable[[Rows], NDArray[np.uint8]], chunk: int, *shape: int
) -> NDArray[np.uint8]:
    """Pictures or maps of a shape, uint8 (B, *shape), drawn `chunk` at once."""
    images = np.empty((len(factors), *shape), dtype=np.uint8)
    for start in range(0, len(factors), chunk):
        rows = slice(start, start + chunk)
        images[rows] = draw(factors[rows])
    return images
