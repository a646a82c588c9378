"""Mouth, nose details and beard."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, bump, colour, ease, gradient
from vcebench.data.synthfaces.anatomy import mouth_height, nose_end, nose_width
from vcebench.data.synthfaces.canvas import Canvas, window


def draw_nose(c: Canvas) -> None:
    """Nostrils and the shadow under the tip; the relief has drawn the rest."""
    c = c.window(window(28, 50))
    side = np.abs(c.uf)
    end = nose_end(c)
    wide = nose_width(c)
    c.shade(1 - 0.26 * bump(c.uf, c.v - end - 0.050, wide * 1.05, 0.026))
    c.shade(1 - 0.58 * bump(side - wide * 0.56, c.v - end - 0.030, 0.026, 0.017))
    wing = side - wide * 1.28
    c.shade(1 - 0.24 * bump(wing, c.v - end + 0.002, 0.018, 0.045))


def draw_mouth(c: Canvas, skin: Array, shading: Array) -> None:
    """Lips, teeth and the dark between them; a smile is wider and its corners go up."""
    where = window(34, 62, 8, 56)
    c = c.window(where)
    light = np.clip(shading[..., *where], 0.2, 1.2)
    smile = c.has("Smiling") * c.span("smile_strength", 0.78, 1.0)
    frown = (1 - c.has("Smiling")) * c.span("neutral_mouth", -0.024, 0.014)
    half = c.span("mouth_width", 0.165, 0.205) * (1 + 0.40 * smile)
    t = (c.uf - 0.012 * c.span("smile_skew", -1, 1)) / half
    t2 = np.minimum(t * t, 1.6)
    arc = np.clip(1 - t2, 0, 1)
    bend = 0.105 * smile + frown
    line = mouth_height(c) + c.span("pitch", -0.008, 0.008)
    line = line + bend * (0.45 - t2)
    opened = c.has("Mouth_Slightly_Open")
    gap = opened * (c.span("mouth_gap", 0.052, 0.075) + 0.030 * smile) * arc**0.6
    top, bottom = line - 0.30 * gap, line + 0.70 * gap
    thin = 1 - 0.18 * smile
    bow = 1 - 0.30 * bump(t, t * 0, 0.16, 1.0) + 0.10 * bump(np.abs(t) - 0.28, t * 0, 0.18, 1.0)
    high = c.span("lip_upper", 0.036, 0.056) * thin * bow * arc**0.75
    low = c.span("lip_lower", 0.050, 0.074) * thin * arc**0.65
    within = np.abs(t) < 1.0
    lips = c.cover(np.maximum(top - high - c.v, c.v - bottom - low)) * within
    tint = _lip_colour(c, skin)
    upper = (c.v < 0.5 * (top + bottom)).astype(np.float32)
    roundness = (c.v - bottom) / (low + 1e-3)
    tone = 0.80 * upper + (1 - upper) * (0.96 + 0.24 * bump(roundness - 0.4, t, 0.35, 0.6))
    c.paint(tint * light * tone[:, None], lips)
    _draw_gap(c, t, top, bottom, gap, light)
    seam = c.cover(np.abs(c.v - line) - 0.009) * (1 - ease(0.97, 1.06, np.abs(t)))
    c.shade(1 - 0.62 * seam * (1 - opened))
    corner = bump(np.abs(t) - 1.0, c.v - line, 0.10, 0.020)
    c.shade(1 - (0.30 + 0.20 * smile) * corner)
    c.shade(1 - 0.17 * bump(c.uf, c.v - bottom - low - 0.018, half * 0.55, 0.026))


def _lip_colour(c: Canvas, skin: Array) -> Array:
    natural = skin * colour(0.92, 0.66, 0.66) + colour(0.02, 0.0, 0.01)
    stops = ((0.72, 0.06, 0.10), (0.80, 0.10, 0.24), (0.62, 0.05, 0.20), (0.50, 0.04, 0.12))
    painted = gradient(c.raw("lipstick_hue"), stops)
    amount = c.has("Wearing_Lipstick") * c.span("lipstick_strength", 0.80, 0.95)
    return natural + amount[:, None] * (painted - natural)


def _draw_gap(c: Canvas, t: Array, top: Array, bottom: Array, gap: Array, light: Array) -> None:
    """The open mouth: dark, with the upper row of teeth (all of it when smiling)."""
    opening = c.cover(np.maximum(top - c.v, c.v - bottom)) * (gap > 0.004)
    c.paint(colour(0.20, 0.05, 0.06), opening)
    share = c.pick("Smiling", 0.78, 0.36)
    teeth = c.cover(np.maximum(top + 0.002 - c.v, c.v - top - share * gap)) * (gap > 0.004)
    gums = 1 - 0.10 * (0.5 + 0.5 * np.cos(t * 26)) - 0.30 * t * t
    white = colour(0.95, 0.93, 0.88) * (0.35 + 0.65 * light) * gums[:, None]
    c.paint(white, teeth * opening * (0.94 - 0.5 * ease(0.75, 1.0, np.abs(t))))


def draw_beard(c: Canvas, hair: Array, inside: Array, grain: Array) -> None:
    """Full beard or goatee around mouth and chin; shaven men keep a shadow."""
    where = window(30, 64)
    c = c.window(where)
    skin, grain = inside[..., *where], grain[..., *where]
    side = np.abs(c.uf)
    mouth = mouth_height(c)
    full = (c.raw("beard_cut") > 0.35).astype(np.float32)
    cheeks = ease(-0.02, 0.05, c.v - (mouth + 0.10 - 0.75 * np.clip(side - 0.22, 0, 0.3)))
    chin = c.cover(np.maximum(side - 0.25, mouth - 0.105 - c.v), 2.5)
    area = np.maximum(full * cheeks, chin)
    hole = bump(c.uf, c.v - mouth - 0.145, 0.05, 0.022)
    area = area * (1 - 0.5 * hole) * skin
    beard = (1 - c.has("No_Beard")) * c.span("beard_density", 0.74, 0.9)
    texture = np.clip(1 + 0.13 * grain, 0.6, 1.4)
    c.paint(hair * 0.70 * texture[:, None], area * beard)
    shadow = c.has("Male") * c.has("No_Beard") * 0.16
    c.paint(colour(0.30, 0.28, 0.30), np.maximum(cheeks, chin) * skin * shadow)
