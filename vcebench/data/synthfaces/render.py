"""From factors to pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcebench.data.synthfaces.canvas import SIZE, Array, Canvas, make_canvas
from vcebench.data.synthfaces.eyes import draw_brows, draw_eyes
from vcebench.data.synthfaces.factors import Factors
from vcebench.data.synthfaces.glasses import draw_glasses
from vcebench.data.synthfaces.hair import (
    draw_hair_back,
    draw_hair_front,
    draw_hat,
    hair_colour,
    strands,
)
from vcebench.data.synthfaces.head import draw_age, draw_marks, draw_skin, skin_colour
from vcebench.data.synthfaces.mouth import draw_beard, draw_mouth, draw_nose
from vcebench.data.synthfaces.noise import pixel_noise
from vcebench.data.synthfaces.scene import draw_background, draw_body, draw_patch

CHUNK = 8
"""Faces drawn at once: their arrays fit into a core's cache. Pictures do not depend on it."""


def render(factors: Factors) -> NDArray[np.uint8]:
    """Pictures of the faces: uint8 with shape (B, 3, 64, 64), a pure function of the factors."""
    images = np.empty((len(factors), 3, SIZE, SIZE), dtype=np.uint8)
    for start in range(0, len(factors), CHUNK):
        rows = slice(start, start + CHUNK)
        images[rows] = _render_chunk(factors[rows])
    return images


def _render_chunk(factors: Factors) -> NDArray[np.uint8]:
    grain = pixel_noise(factors.texture, SIZE, SIZE)
    c = make_canvas(factors)
    _draw(c, grain)
    _expose(c, grain)
    return np.rint(np.clip(c.rgb, 0, 1) * 255).astype(np.uint8)


def _draw(c: Canvas, grain: Array) -> None:
    """All parts, from the back to the front."""
    skin, hair, streaks = skin_colour(c), hair_colour(c), strands(c)
    blotches = _smooth(_smooth(grain)) * 3
    draw_background(c)
    draw_hair_back(c, hair, streaks)
    draw_body(c, skin)
    inside, shading = draw_skin(c, skin)
    c.shade(1 + 0.035 * blotches * inside)
    draw_marks(c)
    draw_age(c, inside, blotches)
    draw_nose(c)
    draw_beard(c, hair, inside, grain)
    draw_mouth(c, skin, shading)
    draw_eyes(c, shading)
    draw_brows(c, hair)
    draw_hair_front(c, hair, streaks)
    draw_hat(c)
    draw_glasses(c)
    draw_patch(c)


def _smooth(field: Array) -> Array:
    """A 3x3 mean; the border wraps around."""
    rows = field + np.roll(field, 1, axis=1) + np.roll(field, -1, axis=1)
    total: Array = rows + np.roll(rows, 1, axis=2) + np.roll(rows, -1, axis=2)
    return total * np.float32(1 / 9)


def _expose(c: Canvas, grain: Array) -> None:
    """Exposure and the camera's grain, partly in colour."""
    rgb = c.rgb
    rgb *= c.span("exposure", 0.90, 1.08)[:, None]
    level = c.span("grain", 0.009, 0.018)
    rgb += (level * grain)[:, None]
    tinted = (0.4 * level) * np.roll(grain, 7, axis=2)
    rgb[:, 0] += tinted
    rgb[:, 2] -= tinted
