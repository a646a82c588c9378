"""Eyeglasses."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import bump, colour, ease, gradient
from vcebench.data.synthfaces.anatomy import eye_line, eye_spacing
from vcebench.data.synthfaces.canvas import Canvas, window

_RIMS = ((0.05, 0.05, 0.06), (0.12, 0.08, 0.07), (0.30, 0.16, 0.08), (0.16, 0.17, 0.22))


def draw_glasses(c: Canvas) -> None:
    """Two rims between round and square, a bridge, temples, a reflection on each lens."""
    c = c.window(window(14, 50))
    on = c.has("Eyeglasses")
    side = np.abs(c.uf)
    dx, dy = side - eye_spacing(c) - 0.005, c.v - eye_line(c) - 0.012
    size = c.span("rim_size", 0.150, 0.178)
    flat = c.span("rim_shape", 0.80, 0.94)
    a, b = dx / size, dy / (size * flat)
    a2, b2 = a * a, b * b
    power = c.span("rim_shape", 0.0, 1.0)
    radius = np.sqrt(a2 + b2) * power + np.sqrt(np.sqrt(a2 * a2 + b2 * b2)) * (1 - power)
    distance = (radius - 1) * size * 0.92
    lens = c.cover(distance)
    c.paint(colour(0.86, 0.92, 0.97), lens * on * 0.10)
    streak = bump(a + b + 0.45, a, 0.16, 0.8)
    c.paint(colour(1.0, 1.0, 1.0), streak * lens * on * 0.30)
    rim = c.cover(np.abs(distance) - 0.019)
    bridge = c.cover(np.abs(dy + 0.035 + 0.6 * side * side) - 0.017)
    bridge = bridge * (side < eye_spacing(c) - size * 0.97)
    temple = c.cover(np.abs(dy + 0.03) - 0.017) * ease(size - 0.01, size, dx)
    temple = temple * (np.abs(c.u) < c.span("face_width", 0.50, 0.575))
    frame = np.maximum(np.maximum(rim, bridge), temple)
    c.paint(gradient(c.raw("rim_tone"), _RIMS), frame * on)
