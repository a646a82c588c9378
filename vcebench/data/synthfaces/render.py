"""From factors to pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcebench.data.rendered.noise import pixel_noise
from vcebench.data.rendered.surface import Array, in_chunks, smoothed
from vcebench.data.synthfaces.canvas import SIZE, Canvas, make_canvas
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
from vcebench.data.synthfaces.scene import draw_background, draw_body, draw_patch

CHUNK = 8
"""Faces drawn at once: their arrays fit into a core's cache. Pictures do not depend on it."""


def render(factors: Factors) -> NDArray[np.uint8]:
    """Pictures of the faces: uint8 with shape (B, 3, 64, 64), a pure function of the factors."""
    return in_chunks(factors, _render_chunk, CHUNK, 3, SIZE, SIZE)


def segments(factors: Factors) -> NDArray[np.uint8]:
    """Number of the region that every pixel belongs to: uint8 with shape (B, 64, 64)."""
    return in_chunks(factors, _segment_chunk, CHUNK, SIZE, SIZE)


def _segment_chunk(factors: Factors) -> NDArray[np.uint8]:
    found = np.zeros((len(factors), SIZE, SIZE), dtype=np.uint8)
    _draw(make_canvas(factors, found), pixel_noise(factors.texture, SIZE, SIZE))
    return found


def _render_chunk(factors: Factors) -> NDArray[np.uint8]:
    grain = pixel_noise(factors.texture, SIZE, SIZE)
    c = make_canvas(factors)
    _draw(c, grain)
    _expose(c, grain)
    return c.finished()


def _draw(c: Canvas, grain: Array) -> None:
    """All parts, from the back to the front."""
    skin, hair, streaks = skin_colour(c), hair_colour(c), strands(c)
    blotches = smoothed(smoothed(grain)) * 3
    draw_background(c)
    draw_hair_back(c.of("long hair"), hair, streaks)
    draw_body(c.of("body"), skin)
    inside, shading = draw_skin(c.of("skin"), skin)
    c.shade(1 + 0.035 * blotches * inside)
    draw_marks(c)
    draw_age(c, inside, blotches)
    draw_nose(c)
    draw_beard(c, hair, inside, grain)
    draw_mouth(c.of("mouth"), skin, shading)
    draw_eyes(c.of("eyes"), shading)
    draw_brows(c.of("eyes"), hair)
    draw_hair_front(c.of("hair"), hair, streaks)
    draw_hat(c.of("hat"))
    draw_glasses(c.of("eyeglasses"))
    draw_patch(c)


def _expose(c: Canvas, grain: Array) -> None:
    """Exposure and the camera's grain, partly in colour."""
    c.shade(c.span("exposure", 0.90, 1.08))
    c.grain(c.span("grain", 0.009, 0.018), grain)
