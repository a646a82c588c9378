"""What is far away: sky, hills, buildings or trees."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, bump, colour, ease, thing_colour
from vcebench.data.synthroads.canvas import WIDTH, Canvas, rows
from vcebench.data.synthroads.factors import BLOCKS

_FAR = rows(0, 40)
_STEP = WIDTH / (BLOCKS - 1)


def draw_sky(c: Canvas) -> None:
    """A gradient, one bank of clouds; dark at night, grey in the rain."""
    night, rain = c.has("Night"), c.has("Rain")
    height = np.clip(c.y / c.horizon, 0, 1)
    low_sun = ease(0.6, 1.0, c.raw("hour"))
    top = colour(0.36, 0.58, 0.88) + low_sun[:, None] * colour(0.06, -0.06, -0.14)
    bottom = colour(0.78, 0.87, 0.95) + low_sun[:, None] * colour(0.18, -0.10, -0.35)
    day = top + height[:, None] * (bottom - top)
    grey = colour(0.66, 0.69, 0.73) + (0.12 * height)[:, None]
    day = day + rain[:, None] * (grey - day)
    dark = colour(0.03, 0.05, 0.13) + height[:, None] * colour(0.10, 0.11, 0.16)
    c.rgb[:] = day + night[:, None] * (dark / c.ambient - day)
    across = c.x - c.span("cloud_x", 0, WIDTH)
    bank = bump(across, c.y - 0.35 * c.horizon, 34.0, 5.0) + bump(across - 30, c.y - 6, 22.0, 3.0)
    white = colour(0.95, 0.95, 0.96) - 0.62 * night[:, None]
    c.paint(white, np.clip(bank, 0, 1) * c.span("cloud", 0.1, 0.7))


def draw_hills(c: Canvas) -> None:
    """A wooded ridge behind everything."""
    c = c.window(_FAR)
    phase = c.span("hill_phase", 0, 6.28)
    wave = np.sin(0.045 * c.x + phase) + 0.5 * np.sin(0.11 * c.x + 2.3 * phase)
    top = c.horizon - c.span("hill", 2, 5) - 1.6 * wave
    c.paint(colour(0.34, 0.44, 0.42), c.cover(top - c.y))


def draw_blocks(c: Canvas, blotches: Array) -> None:
    """Buildings with windows, or trees; higher towards the sides, as along a street."""
    city = c.has("Buildings")
    whole = c
    for number in range(BLOCKS):
        place = round(number * _STEP)
        where = rows(0, 30, place - 24, place + 24)
        c = whole.window(where)
        middle = number * _STEP + c.span("skyline", -_STEP / 2, _STEP / 2)
        aside = np.abs(middle - c.middle) / 64
        share = c.span(f"block{number}_height", 0.35, 1.0)
        _draw_building(c, number, middle, (5 + 19 * aside) * share, city)
        _draw_tree(c, number, middle, (4 + 9 * aside) * share, 1 - city, blotches[..., *where])


def _draw_building(c: Canvas, number: int, middle: Array, high: Array, on: Array) -> None:
    top = c.horizon - high
    inside = c.cover(np.maximum(np.abs(c.x - middle) - _STEP / 2, top - c.y)) * on
    wall = thing_colour(c.raw(f"block{number}_hue"), c.span(f"block{number}_tone", 0.2, 0.8), 0.35)
    c.paint(wall, inside)
    across, down = (
        (c.x - middle) * np.float32(2 * np.pi / 4.6),
        (c.y - top) * np.float32(2 * np.pi / 5),
    )
    pane = ease(0.1, 0.7, np.cos(across)) * ease(0.1, 0.7, -np.cos(down))
    pane = pane * c.cover(c.y - c.horizon + 3)
    burning = (
        np.sin(
            np.floor((c.x - middle) / 4.6 + 0.5) * 12.9
            + np.floor((c.y - top) / 5) * 78.2
            + 40 * c.span("windows", 0, 1)
            + number
        )
        > 0.1
    )
    glass = colour(0.30, 0.36, 0.42) + (c.has("Night") * burning)[:, None] * (
        c.lit(0.95, 0.80, 0.45) - colour(0.30, 0.36, 0.42)
    )
    c.paint(glass, pane * inside * 0.8)


def _draw_tree(
    c: Canvas, number: int, middle: Array, high: Array, on: Array, blotches: Array
) -> None:
    radius = 5 + 0.45 * high
    crown = c.disc(middle, c.horizon - high * 0.62, radius, 0.85)
    trunk = c.box(middle, c.horizon - 1, 0.9, 3.5)
    c.paint(colour(0.30, 0.22, 0.16), c.cover(trunk) * on)
    green = colour(0.20, 0.36, 0.16) + c.span(f"block{number}_tone", -0.06, 0.08)[:, None]
    hue = c.span(f"block{number}_hue", -0.08, 0.14)[:, None] * colour(1.0, 0.4, 0.0)
    light = 1 + 0.20 * blotches - 0.05 * (c.y - c.horizon + high * 0.62) / radius
    c.paint((green + hue) * light[:, None], c.cover(crown, 1.6) * on)
