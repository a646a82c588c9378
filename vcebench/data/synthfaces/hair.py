"""Hair behind and in front of the head, and hats."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, bump, colour, ease, thing_colour
from vcebench.data.synthfaces.anatomy import face_width
from vcebench.data.synthfaces.canvas import Canvas, window

_COLOURS = {
    "Black_Hair": (0.10, 0.085, 0.085),
    "Brown_Hair": (0.36, 0.22, 0.13),
    "Blond_Hair": (0.82, 0.66, 0.38),
    "Gray_Hair": (0.70, 0.70, 0.71),
}


def hair_colour(c: Canvas) -> Array:
    """Base colour (B, 3, 1, 1) of the hair with a personal shade."""
    base = np.zeros((len(c.factors), 3, 1, 1), dtype=np.float32)
    for name, value in _COLOURS.items():
        base += c.has(name)[:, None] * colour(*value)
    shade = c.span("hair_shade", 0.86, 1.12) * c.span("hair_tint", 0.96, 1.04)
    tinted: Array = np.clip(base * shade[:, None], 0, 1)
    return tinted


def strands(c: Canvas) -> Array:
    """Light and dark streaks along the hair, about -1 to 1, with shape (B, H, W)."""
    part = c.span("hair_part", -0.22, 0.22)
    fan = (c.u - part) / (0.42 + np.clip(c.v + 0.95, 0, 2) * 0.75)
    wave = c.span("hair_wave", 0.0, 0.10) * np.sin(9 * c.v + 5 * c.u)
    s = fan + wave
    rate = c.span("hair_strands", 26, 44)
    first, second = c.span("strand_phase", 0, 6.28), c.span("strand_phase2", 0, 6.28)
    streak = np.sin(rate * s + first) * 0.5 + np.sin(2.3 * rate * s + second + 3 * c.v) * 0.35
    total: Array = streak + 0.45 * np.sin(0.37 * rate * s + first + second)
    return total


def _tinted(c: Canvas, hair: Array, streaks: Array) -> Array:
    """Hair lit from the lamp's side, with streaks and a sheen."""
    light = c.span("light_x", -0.75, 0.75)
    amount = 0.86 + 0.26 * light * c.u * 1.4 - 0.22 * (c.v + 0.35)
    sheen = bump(c.v + 0.60 - 0.35 * c.u * c.u, c.u - 0.4 * light, 0.09, 0.34)
    amount = np.clip(amount, 0.45, 1.3) * (1 + 0.20 * streaks)
    lit: Array = hair * amount[:, None] + (0.16 * sheen * (1 + 0.8 * streaks))[:, None]
    return lit


def _length(c: Canvas) -> Array:
    """How far down the hair falls: bob to long for women, to the ears for men."""
    return c.pick("Male", c.span("hair_length", -0.05, 0.10), c.span("hair_length", 0.45, 1.05))


def _outer(c: Canvas) -> Array:
    """Distance to the outline of the hair on the skull."""
    volume = c.span("hair_volume", 0.05, 0.14)
    width = face_width(c) * c.pick("Male", 1.02, 0.985) + volume * 0.75
    height = 0.80 + volume
    a, b = c.u / width, np.minimum(c.v, 0.0) / height
    a2, b2 = a * a, b * b
    # Between an ellipse and a square: a skull is flatter than an egg.
    radius = np.sqrt(0.55 * (a2 + b2) + 0.45 * np.sqrt(a2 * a2 + b2 * b2))
    # Short hair is cut close at the temples, so that the ears show.
    cut = c.has("Male") * (0.9 * volume + 0.02) * ease(-0.45, 0.02, c.v)
    distance: Array = (radius - 1) * width + cut
    return distance


def draw_hair_back(c: Canvas, hair: Array, streaks: Array) -> None:
    """The fall of long hair behind neck and shoulders."""
    spread = c.span("hair_volume", 0.0, 0.10) * ease(-0.2, 0.6, c.v)
    curl = c.span("hair_wave", 0.0, 0.03) * np.sin(12 * c.v + c.span("strand_phase", 0, 6.28))
    sides = _outer(c) - spread - curl
    distance = np.maximum(sides, (c.v - _length(c)) * 0.8)
    tint = _tinted(c, hair * 0.72, streaks)
    c.paint(tint, c.cover(distance, 1.3))


def draw_hair_front(c: Canvas, hair: Array, streaks: Array) -> None:
    """The cap of hair with its hairline, locks beside the face, and bangs."""
    tint = _tinted(c, hair, streaks)
    outer = _outer(c)
    part = c.span("hair_part", -0.22, 0.22)
    hairline = c.span("hairline", -0.56, -0.47)
    # The face shows through a window, round below and higher at the parting.
    wide = face_width(c) * 0.93
    a = c.u / wide
    edge = hairline + 0.30 * (a * a) ** 1.5 - 0.05 * bump(c.u - part, c.u * 0, 0.16, 1.0)
    above = c.v - edge - 0.010 * streaks
    beside = wide * (0.985 + 0.05 * ease(0.1, 0.5, c.v)) - np.abs(c.u) + 0.006 * streaks
    cap = np.minimum(above, beside)
    ends = c.pick("Male", c.span("hair_length", -0.06, 0.08), c.span("hair_length", 0.42, 1.0))
    distance = np.maximum(np.maximum(outer, cap), (c.v - ends) * 0.7)
    shadow = c.cover(np.maximum(outer, cap - 0.035), 3.0) * (c.v < 0.15)
    c.shade(1 - 0.22 * shadow)
    c.paint(tint, c.cover(distance, 1.2))
    _draw_bangs(c.window(window(0, 40)), hair, streaks[:, :40], outer[:, :40])


def _draw_bangs(c: Canvas, hair: Array, streaks: Array, outer: Array) -> None:
    """Locks over the forehead, down to the brows, with a ragged edge."""
    slant = c.span("bang_edge", -0.12, 0.12)
    teeth = 0.022 * np.sin(34 * c.u + 9 * slant) + 0.018 * streaks
    lower = -0.265 + slant * c.u + 0.14 * c.u * c.u + teeth
    distance = np.maximum(outer, c.v - lower)
    fall = ease(-0.62, -0.26, c.v)
    root = ease(-0.70, -0.54, c.v)
    amount = (0.84 - 0.10 * fall + 0.18 * bump(c.v + 0.42, c.u, 0.06, 0.35)) * (1 + 0.22 * streaks)
    bangs = c.has("Bangs") * root
    under = c.cover(np.maximum(outer, c.v - lower - 0.03), 2.0)
    c.shade(1 - 0.25 * under * bangs)
    c.paint(hair * amount[:, None], c.cover(distance) * bangs)


def draw_hat(c: Canvas) -> None:
    """A knitted cap or a hat with a brim, down to the hairline."""
    c = c.window(window(0, 40))
    on = c.has("Wearing_Hat")
    base = thing_colour(c.raw("hat_hue"), c.span("hat_tone", 0.15, 0.85), 1.0)
    brimmed = (c.raw("hat_style") > 0.5).astype(np.float32)
    width = face_width(c) + 0.075 + c.span("hair_volume", 0.0, 0.05)
    top = c.span("hat_height", 0.90, 1.0)
    bottom = -0.40 + 0.16 * c.u * c.u
    a, b = c.u / width, np.minimum(c.v + 0.25, 0) / (top - 0.25)
    dome = np.maximum((np.sqrt(a * a + b * b) - 1) * 0.6, c.v - bottom)
    light = 0.88 + 0.45 * c.span("light_x", -0.75, 0.75) * c.u - 0.45 * a * a * 0.6
    knit = 1 + (1 - brimmed) * 0.11 * np.sin(62 * c.u / (1 + 0.5 * np.abs(c.v))) * np.cos(55 * c.v)
    under = bump(np.maximum(c.v - bottom, 0), c.u, 0.07, 0.5) * (c.v > bottom)
    c.shade(1 - 0.42 * under * on)
    c.paint(base * (light * knit)[:, None], c.cover(dome) * on)
    # Cap: a turned-up band. Hat: ribbon and brim.
    band = np.maximum(np.abs(c.v - bottom + 0.075) - 0.075, np.abs(c.u) - width - 0.012)
    ribs = 0.84 + (1 - brimmed) * 0.13 * np.sin(60 * c.u) - 0.45 * brimmed
    c.paint(base * (light * ribs)[:, None], c.cover(band) * on)
    e, f = c.u / (width + 0.26), (c.v - bottom - 0.005) / 0.06
    brim = (np.sqrt(e * e + f * f) - 1) * 0.055
    c.paint(base * (light * (0.95 + 2.2 * (bottom - c.v)))[:, None], c.cover(brim) * on * brimmed)
