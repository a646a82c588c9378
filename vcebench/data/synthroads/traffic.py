"""What the rule is about, and one that only looks like it: car, people, traffic light."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, colour, ease, gradient, thing_colour
from vcebench.data.synthroads.canvas import WIDTH, Canvas, rows
from vcebench.data.synthroads.road import crossing_row

_SKIN = ((0.93, 0.76, 0.65), (0.80, 0.58, 0.44), (0.52, 0.35, 0.25))
_TROUSERS = ((0.10, 0.11, 0.16), (0.18, 0.24, 0.42), (0.42, 0.36, 0.28))
_SHIRTS = (
    (0.85, 0.16, 0.20), (0.95, 0.62, 0.12), (0.90, 0.88, 0.30), (0.92, 0.92, 0.90),
    (0.25, 0.50, 0.90), (0.62, 0.25, 0.70),
)  # fmt: skip


def draw_car(c: Canvas) -> None:
    """A car seen from behind, close beyond the crossing or far away."""
    c = c.window(rows(14, 52, 30, 100))
    g = c.pick("Car_Near", c.span("car_near", 16.5, 19), c.span("car_far", 4.2, 5.6))
    size = g / 17
    x = c.middle + c.span("car_x", -0.12, 0.32) * g + c.span("bend", -14, 14) * np.exp(-g / 7)
    ground = c.horizon + g
    wide = 13.5 * c.span("car_shape", 0.92, 1.08) * size

    def part(up: float, half_width: float, half_height: float, aside: float = 0.0) -> Array:
        centre = x + aside * wide
        return c.cover(c.box(centre, ground - up * size, half_width * wide, half_height * size))

    paint = thing_colour(c.raw("car_hue"), c.span("car_tone", 0.15, 1.0), 1.1)
    shadow = c.disc(x, ground, wide * 1.08, 0.14)
    c.shade(1 - 0.6 * c.cover(shadow, 2.0))
    for aside in (-0.74, 0.74):
        c.paint(colour(0.05, 0.05, 0.06), part(2.2, 0.17, 2.6, aside))
    cabin = np.abs(c.x - x) - wide * (0.78 - 0.020 * (ground - 12 * size - c.y) / size)
    roof = np.abs(c.y - ground + 15.5 * size) - 5.3 * size
    c.paint(paint * 0.92, c.cover(np.maximum(cabin, roof)))
    light = 1.08 - 0.05 * np.clip((c.y - ground + 13 * size) / size, 0, 12) / 2
    c.paint(paint * light[:, None], part(7.4, 1.0, 5.2))
    window = np.maximum(cabin + 0.12 * wide, np.abs(c.y - ground + 15.8 * size) - 3.3 * size)
    c.paint(colour(0.13, 0.17, 0.22), c.cover(window))
    c.paint(colour(0.12, 0.12, 0.13), part(3.2, 0.96, 1.0))
    c.paint(colour(0.88, 0.88, 0.80), part(5.6, 0.26, 1.1))
    lamp = c.span("car_brake", 0.55, 0.85)[:, None] * colour(1.0, 0.10, 0.08)
    for aside in (-0.80, 0.80):
        c.paint(lamp / np.sqrt(c.ambient), part(9.0, 0.16, 1.5, aside))


def draw_walker(c: Canvas) -> None:
    """Somebody on the crossing, in the way."""
    g = crossing_row(c)
    x = c.middle + c.span("walker_x", -0.75, 0.75) * c.half * g
    size = c.span("walker_size", 0.92, 1.12)
    _draw_person(c, "walker", c.has("Pedestrian"), x, c.horizon + g, size, stride=2.6)


def draw_bystander(c: Canvas) -> None:
    """Somebody beside the road, who waits and has no say."""
    g = crossing_row(c) - 4
    left = c.raw("bystander_side") < 0.5
    aside = c.half * g + c.span("bystander_x", 9, 14)
    x = c.middle + np.where(left, -aside, aside)
    x = np.clip(x, 4, WIDTH - 4)
    size = c.span("bystander_size", 0.82, 0.98)
    _draw_person(c, "bystander", c.has("Bystander"), x, c.horizon + g, size, stride=0.8)


def _draw_person(
    c: Canvas, who: str, on: Array, x: Array, ground: Array, size: Array, stride: float
) -> None:
    """A figure of 24 pixels in units of `size`: legs, coat, arms, head with hair."""
    c = c.window(rows(14, 58))
    up = (ground - c.y) / size
    across = (c.x - x) / size

    def limb(
        foot: float | Array, top: float | Array, low: float, high: float, thick: float
    ) -> Array:
        """A slanted bar from (foot, low) to (top, high)."""
        t = np.clip((up - low) / (high - low), 0, 1)
        distance = np.maximum(np.abs(across - foot - t * (top - foot)) - thick, low - up)
        return c.cover(np.maximum(distance, up - high) * size) * on

    swing = stride * (c.span("walker_stride", 0.6, 1.0) if who == "walker" else 1.0)
    trousers = gradient(c.raw(f"{who}_legs"), _TROUSERS)
    shirt = gradient(c.raw(f"{who}_shirt"), _SHIRTS)
    skin = gradient(c.raw(f"{who}_skin"), _SKIN)
    c.shade(1 - 0.45 * c.cover(c.disc(x, ground, 5.0 * size, 0.22), 2.0) * on)
    c.paint(trousers, limb(swing, 0.8, 0, 11, 1.35))
    c.paint(trousers * 0.8, limb(-swing, -0.8, 0, 11, 1.35))
    c.paint(shirt, limb(0.0, 0.0, 9.5, 19, 3.1))
    c.paint(shirt * 0.78, limb(-0.9 * swing - 2.2, -3.1, 10.5, 18.5, 1.0))
    c.paint(shirt * 0.86, limb(0.9 * swing + 2.2, 3.1, 10.5, 18.5, 1.0))
    head = np.sqrt(across * across + (up - 21.4) ** 2) - 2.5
    c.paint(skin, c.cover(head * size) * on)
    hair = np.maximum(head - 0.3, 22.2 - up)
    c.paint(colour(0.16, 0.11, 0.08), c.cover(hair * size) * on)


def draw_light(c: Canvas) -> None:
    """A traffic light on its post beside the crossing: red above, green below."""
    c = c.window(rows(0, 54))
    right = c.raw("light_side") < 0.7
    g = crossing_row(c) - 3
    aside = c.half * g + c.span("light_gap", 4, 7)
    x = np.clip(c.middle + np.where(right, aside, -aside), 7, WIDTH - 7)
    y = c.span("light_height", 12.5, 15.5)
    size = c.span("light_size", 0.94, 1.08)
    ground = c.horizon + g
    post = np.maximum(np.abs(c.x - x) - 0.9, np.maximum(y - c.y, c.y - ground))
    c.paint(colour(0.30, 0.31, 0.33), c.cover(post))
    c.paint(colour(0.62, 0.63, 0.62), c.cover(c.box(x, y, 5.5 * size, 11.4 * size)))
    c.paint(colour(0.06, 0.07, 0.07), c.cover(c.box(x, y, 4.7 * size, 10.6 * size)))
    red, night = c.has("Red_Light"), c.has("Night")
    _draw_lamp(c, x, y - 6.7 * size, size, red, (1.0, 0.13, 0.09), night)
    _draw_lamp(c, x, y, size, red * 0, (0.95, 0.70, 0.10), night)
    _draw_lamp(c, x, y + 6.7 * size, size, 1 - red, (0.12, 0.95, 0.45), night)


def _draw_lamp(
    c: Canvas, x: Array, y: Array, size: Array, on: Array, tint: tuple[float, ...], night: Array
) -> None:
    """One lens; lit, with a halo that ends six pixels off."""
    away = c.disc(x, y, 0.0)
    halo = (1 - ease(1.5, 7.0, away)) * on * (0.42 + 0.25 * night) * c.span("lamp", 0.7, 1.0)
    c.paint(c.lit(*tint), halo)
    lens = c.cover(away - 2.9 * size)
    c.paint(colour(*tint) * 0.22, lens * (1 - on))
    core = 0.75 * np.clip(1 - away / 3, 0, 1) * on
    bright = c.lit(*tint) + core[:, None] * (c.lit(1.0, 0.95, 0.85) - c.lit(*tint)) * 0.6
    c.paint(bright, lens * on)
