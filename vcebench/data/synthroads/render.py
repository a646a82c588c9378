"""From factors to pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vcebench.data.rendered.noise import pixel_noise
from vcebench.data.rendered.surface import Array, bump, colour, in_chunks, smoothed
from vcebench.data.synthroads.backdrop import draw_blocks, draw_hills, draw_sky
from vcebench.data.synthroads.canvas import HEIGHT, WIDTH, Canvas, make_canvas
from vcebench.data.synthroads.factors import Factors
from vcebench.data.synthroads.road import draw_bonnet, draw_ground
from vcebench.data.synthroads.traffic import draw_bystander, draw_car, draw_light, draw_walker

CHUNK = 4
"""Scenes drawn at once: their arrays fit into a core's cache. Pictures do not depend on it."""


def render(factors: Factors) -> NDArray[np.uint8]:
    """Pictures of the scenes: uint8 with shape (B, 3, 64, 128), a pure function of the factors."""
    return in_chunks(factors, _render_chunk, CHUNK, 3, HEIGHT, WIDTH)


def segments(factors: Factors) -> NDArray[np.uint8]:
    """Number of the region that every pixel belongs to: uint8 with shape (B, 64, 128)."""
    return in_chunks(factors, _segment_chunk, CHUNK, HEIGHT, WIDTH)


def _segment_chunk(factors: Factors) -> NDArray[np.uint8]:
    found = np.zeros((len(factors), HEIGHT, WIDTH), dtype=np.uint8)
    _draw(make_canvas(factors, found), pixel_noise(factors.texture, HEIGHT, WIDTH))
    return found


def _draw(c: Canvas, grain: Array) -> None:
    """All things, from the back to the front."""
    blotches = smoothed(smoothed(grain)) * 3
    draw_sky(c)
    draw_hills(c.of("hills"))
    draw_blocks(c.of("buildings"), blotches)
    draw_ground(c, blotches, grain)
    draw_car(c.of("car"))
    draw_bystander(c.of("bystander"))
    draw_light(c.of("light"))
    draw_walker(c.of("walker"))
    draw_bonnet(c.of("bonnet"))


def _render_chunk(factors: Factors) -> NDArray[np.uint8]:
    grain = pixel_noise(factors.texture, HEIGHT, WIDTH)
    c = make_canvas(factors)
    _draw(c, grain)
    _illuminate(c)
    _draw_rain(c, grain)
    c.shade(c.span("exposure", 0.92, 1.08))
    c.grain(c.span("grain", 0.008, 0.016), grain)
    return c.finished()


def _illuminate(c: Canvas) -> None:
    """The light of the day, and at night that of the driver's headlights."""
    beam = bump(c.x - c.middle, c.y - c.horizon - 26, 52.0, 18.0) * c.has("Night")
    rgb = c.rgb
    rgb *= c.ambient
    c.shade(1 + 0.85 * beam)


def _draw_rain(c: Canvas, grain: Array) -> None:
    """Slanted streaks and a veil."""
    rain = c.has("Rain")
    dim = 1 - 0.5 * c.has("Night")
    c.paint(colour(0.62, 0.65, 0.70) * dim[:, None], np.broadcast_to(0.10 * rain, c.x.shape))
    drops = (grain > 2.35).astype(np.float32)
    left = c.raw("rain_slant") < 0.5
    streaks = np.zeros_like(drops)
    for step in range(5):
        fallen = np.roll(drops, step, axis=1)
        streaks += np.where(left, np.roll(fallen, -(step // 2), 2), np.roll(fallen, step // 2, 2))
    c.paint(colour(0.85, 0.88, 0.92) * dim[:, None], np.clip(streaks, 0, 1) * rain * 0.18)
