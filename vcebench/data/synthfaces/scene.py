"""What surrounds the head: background, shoulders, neck; and the corner patch."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, bump, ease, gradient, thing_colour
from vcebench.data.synthfaces.canvas import SIZE, Canvas, window

PATCH_PIXELS = 9
_PATCH = window(2, 2 + PATCH_PIXELS, SIZE - 2 - PATCH_PIXELS, SIZE - 2)


def draw_background(c: Canvas) -> None:
    """Two colours in a slanted gradient, one soft spot, darker corners."""
    first = thing_colour(c.raw("back_hue"), c.raw("back_tone"), 0.55)
    second = thing_colour(c.raw("back_hue2"), c.raw("back_tone2"), 0.55)
    slant = c.span("back_angle", -1, 1)
    mix = ease(-1.2, 1.2, slant * c.x + (1 - np.abs(slant)) * c.y)
    c.rgb[:] = first + mix[:, None] * (second - first)
    size = c.span("blob_size", 0.25, 0.7)
    spot = bump(c.x - c.span("blob_x", -1, 1), c.y - c.span("blob_y", -1, 0.6), size, size)
    c.shade(1 + c.span("blob_tone", -0.45, 0.6) * spot)
    c.shade(1 - 0.10 * (c.x * c.x + c.y * c.y))


def draw_body(c: Canvas, skin: Array) -> None:
    """Shoulders in a shirt and a neck in the shadow of the chin."""
    c = c.window(window(38, SIZE))
    side = np.abs(c.u - c.span("yaw", -0.03, 0.03))
    light = c.span("light_x", -0.8, 0.8)
    # Shirt
    top = 0.70 + 0.22 * side + c.span("shirt_cut", -0.02, 0.05)
    shirt = thing_colour(c.raw("shirt_hue"), c.raw("shirt_tone"))
    shape = c.cover((top - c.v) * 0.95)
    folds = 1 + 0.08 * np.sin(9 * c.u + 14 * c.span("shirt_cut", 0, 1)) + 0.22 * light * c.u
    c.paint(shirt * folds[:, None], shape)
    # Neck, with a collar opening
    half = c.pick("Male", 0.345, 0.27) * c.span("face_width", 0.95, 1.05)
    half_here = half + 0.5 * np.clip(c.v - 0.82, 0, 1) ** 2 * 4
    opening = c.v - (0.95 - 0.40 * side - c.span("shirt_cut", 0, 0.10))
    neck = c.cover(np.maximum(side - half_here, opening))
    round_ = 1 - 0.45 * (side / half) ** 2 + 0.30 * light * c.u / half
    shadow = 0.52 + 0.33 * ease(0.66, 1.0, c.v)
    tint = skin * (np.clip(round_, 0.2, 1.4) * shadow)[:, None]
    c.paint(tint, neck)
    c.shade(1 - 0.35 * c.cover(np.abs(opening) - 0.012) * c.cover(side - half_here))


def draw_patch(c: Canvas) -> None:
    """The coloured square near the upper right corner of the picture, if there is one."""
    c = c.window(_PATCH)
    stops = ((1.0, 0.55, 0.05), (1.0, 0.72, 0.10))
    c.paint(gradient(c.raw("patch_hue"), stops), np.broadcast_to(c.has("patch"), c.x.shape))
