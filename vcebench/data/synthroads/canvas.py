"""The scene's drawing surface: a `Surface` in pixels, with coordinates on the ground.

The ground is a plane seen in perspective: what lies `g` pixels below the horizon is at distance
1/g, and one unit to the side of the road's middle there is `g` pixels wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vcebench.data.rendered.surface import Array, Surface, Window, colour, ease, span
from vcebench.data.synthroads.factors import Factors

HEIGHT, WIDTH = 64, 128
REGIONS = (
    "sky", "hills", "buildings", "verge", "road", "car", "bystander", "light", "walker", "bonnet",
)  # fmt: skip
"""Names of what a pixel can belong to, by number; trees are buildings."""


def rows(top: int, bottom: int, left: int = 0, right: int = WIDTH) -> Window:
    """A band, or a box, of the picture that holds a shape whatever the scene."""
    return slice(top, bottom), slice(max(0, left), right)


@dataclass(frozen=True, eq=False)
class Canvas(Surface):
    """A surface in pixels, with the perspective of each scene.

    x, y: pixels from the left and from the top.
    g: pixels below the horizon, at least 0.5; u: sideways on the ground, the road's middle at 0.
    horizon, middle, half: row of the horizon, column of the road's vanishing point, half the
        road's width in units of u; all (B, 1, 1).
    ambient: colour of the light that falls on everything, (B, 3, 1, 1).
    """

    planes: ClassVar[tuple[str, ...]] = ("x", "y", "g", "u")
    regions = REGIONS
    x: Array
    y: Array
    g: Array
    u: Array
    horizon: Array
    middle: Array
    half: Array
    ambient: Array

    def lit(self, *channels: float) -> Array:
        """A colour that shines by itself: `ambient` will not darken it."""
        shining: Array = colour(*channels) / self.ambient
        return shining

    def box(
        self, x: Array, y: Array, half_width: Array | float, half_height: Array | float
    ) -> Array:
        """Signed distance to a rectangle around (x, y)."""
        return np.maximum(np.abs(self.x - x) - half_width, np.abs(self.y - y) - half_height)

    def disc(self, x: Array, y: Array, radius: Array | float, stretch: float = 1.0) -> Array:
        """Signed distance to a disc around (x, y), `stretch` times as high as wide."""
        return np.sqrt((self.x - x) ** 2 + ((self.y - y) / stretch) ** 2) - radius


def make_canvas(factors: Factors, segments: NDArray[np.uint8] | None = None) -> Canvas:
    """An empty canvas with the perspective and the light of each scene; see `Surface`."""
    count = len(factors)
    columns = np.arange(WIDTH, dtype=np.float32) + np.float32(0.5)
    lines = np.arange(HEIGHT, dtype=np.float32) + np.float32(0.5)
    x = np.broadcast_to(columns[None, None, :], (count, HEIGHT, WIDTH))
    y = np.broadcast_to(lines[None, :, None], (count, HEIGHT, WIDTH))
    horizon = span(factors, "horizon", 21, 26)
    middle = span(factors, "vanishing", 57, 71)
    g = np.maximum(y - horizon, np.float32(0.5))
    bend = span(factors, "bend", -14, 14) * np.exp(-g / 7)
    u = (x - middle - bend) / g
    half = span(factors, "camera_height", 1.62, 1.38)
    rgb = np.zeros((count, 3, HEIGHT, WIDTH), dtype=np.float32)
    pixel = np.ones((1, 1, 1), dtype=np.float32)
    light = _ambient(factors)
    return Canvas(factors, rgb, pixel, x, y, g, u, horizon, middle, half, light, segments=segments)


def _ambient(factors: Factors) -> Array:
    """Bright by day, warm when the sun is low, blue and dim at night, grey in the rain."""
    night = factors.value("Night").astype(np.float32)[:, None, None, None]
    rain = factors.value("Rain").astype(np.float32)[:, None, None, None]
    low_sun = ease(0.6, 1.0, span(factors, "hour", 0, 1))[:, None]
    day = colour(1.0, 0.99, 0.97) * (1 - low_sun) + colour(1.0, 0.84, 0.70) * low_sun
    dark = colour(0.44, 0.47, 0.60) * (1 - 0.25 * low_sun)
    light = day + night * (dark - day)
    ambient: Array = light * (1 - rain * (0.22 - 0.10 * night))
    return ambient
