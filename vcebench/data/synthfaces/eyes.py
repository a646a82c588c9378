"""Eyes, lashes and brows."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, bump, colour, ease, gradient
from vcebench.data.synthfaces.anatomy import eye_line, eye_spacing
from vcebench.data.synthfaces.canvas import Canvas, window

_IRIS = (
    (0.20, 0.12, 0.08), (0.34, 0.21, 0.11), (0.40, 0.36, 0.18), (0.30, 0.42, 0.30),
    (0.34, 0.48, 0.58), (0.40, 0.56, 0.72),
)  # fmt: skip


def draw_eyes(c: Canvas, shading: Array) -> None:
    """Both eyes at once, in coordinates mirrored at the middle."""
    where = window(16, 46)
    c = c.window(where)
    light = np.clip(shading[..., *where], 0, 1.15)
    sign = np.sign(c.uf)
    dx = np.abs(c.uf) - eye_spacing(c)
    dy = c.v - eye_line(c) + c.span("eye_tilt", -0.06, 0.16) * dx
    half = c.span("eye_width", 0.105, 0.135)
    t = dx / half
    arc = 1 - t * t
    narrow = c.pick("Narrow_Eyes", 0.42, 1.0)
    open_ = c.span("eye_opening", 0.052, 0.068) * c.span("lid", 0.94, 1.0) * narrow
    upper, lower = -open_ * arc, 0.62 * open_ * arc
    inside = c.cover(np.maximum(upper - dy, dy - lower) * 0.85)
    # Socket: a soft darker ring that holds the eye
    c.shade(1 - 0.20 * bump(dx, dy + 0.01, half * 1.15, 0.085))
    white = colour(0.90, 0.88, 0.86) * (0.30 + 0.66 * light)
    white = white * (0.80 + 0.20 * ease(-open_, 0.3 * open_, dy))[:, None]
    c.paint(white, inside)
    _draw_iris(c, dx - c.span("gaze_x", -0.022, 0.022) * sign, dy, inside, light)
    # The inner corner's pink, upper lashes, lower rim, crease of the lid
    c.shade(1 - 0.25 * bump(t + 0.95, dy, 0.16, 0.022))
    lash = c.cover(np.abs(dy - upper - 0.004) - c.pick("Male", 0.010, 0.017)) * (np.abs(t) < 1.12)
    c.paint(colour(0.10, 0.07, 0.06), lash * c.pick("Male", 0.72, 0.92))
    rim = bump(dy - lower - 0.008, t, 0.012, 0.8)
    c.shade(1 - 0.26 * rim * (np.abs(t) < 1.15))
    crease = bump(dy - upper * 1.15 + 0.042, t - 0.1, 0.014, 0.75)
    c.shade(1 - 0.22 * crease)


def _draw_iris(c: Canvas, dx: Array, dy: Array, inside: Array, light: Array) -> None:
    tone = (
        gradient(c.raw("iris_hue") ** 1.6 * (1 - 0.6 * c.raw("skin_tone")), _IRIS)
        * c.span("iris_tone", 0.65, 1.0)[:, None]
    )
    distance = np.sqrt(dx * dx + (dy + 0.008) ** 2)
    iris = c.cover(distance - 0.060) * inside
    c.paint(tone * (0.45 + 0.6 * light), iris)
    c.paint(colour(0.03, 0.03, 0.04), c.cover(distance - 0.026) * inside * 0.95)
    glint = c.cover(np.sqrt((dx * np.sign(c.uf) - 0.022) ** 2 + (dy + 0.026) ** 2) - 0.013)
    c.paint(colour(1.0, 1.0, 1.0), 0.9 * glint * inside)


def draw_brows(c: Canvas, hair: Array) -> None:
    """Two tapered strokes; bushy ones are twice as thick and darker."""
    c = c.window(window(10, 38))
    bushy = c.has("Bushy_Eyebrows")
    half = c.span("brow_length", 0.125, 0.155) + 0.008 * bushy
    t = (np.abs(c.uf) - eye_spacing(c) - 0.008) / half
    height = eye_line(c) - c.span("brow_height", 0.135, 0.165)
    arch = c.span("brow_arch", 0.004, 0.032)
    middle = height + arch * (t - 0.1) ** 2 - c.span("brow_tilt", -0.030, 0.004) * t - 0.4 * arch
    weight = c.span("brow_weight", 0.015, 0.022) * c.pick("Male", 1.15, 0.95)
    thick = weight * (1 + 1.15 * bushy) * (1 - 0.55 * np.clip(t, 0, 1) ** 2)
    stroke = c.cover(np.abs(c.v - middle) - thick, 1.2) * (1 - ease(0.85, 1.05, np.abs(t)))
    hairs = 0.88 + 0.12 * np.sin(70 * t + 40 * c.v)
    c.paint(
        hair * c.pick("Bushy_Eyebrows", 0.50, 0.62)[:, None], stroke * hairs * (0.74 + 0.22 * bushy)
    )
