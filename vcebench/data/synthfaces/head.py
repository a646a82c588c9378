"""The head as a lit height field: skin colour, relief, age."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, bump, colour, ease, gradient
from vcebench.data.synthfaces.anatomy import (
    eye_line,
    eye_spacing,
    face_width,
    mouth_height,
    nose_end,
    nose_width,
)
from vcebench.data.synthfaces.canvas import SIZE, Canvas

_SKIN = (
    (0.92, 0.745, 0.645), (0.88, 0.69, 0.57), (0.83, 0.62, 0.48), (0.70, 0.49, 0.35),
    (0.54, 0.36, 0.26), (0.40, 0.26, 0.19),
)  # fmt: skip


def skin_colour(c: Canvas) -> Array:
    """Albedo (B, 3, 1, 1) from the tone and an undertone between rosy and olive."""
    base = gradient(c.raw("skin_tone") ** 1.4 * 0.95, _SKIN)
    hue = c.span("skin_hue", -0.4, 1)[:, None]
    return np.clip(base * (1 + hue * colour(0.03, -0.02, -0.05)), 0, 1)


def head_distance(c: Canvas) -> tuple[Array, Array]:
    """Signed distance to the head's outline, and the squared radius (1 on the outline)."""
    width = face_width(c) * c.pick("Male", 1.02, 0.985)
    square = c.span("jaw_square", 0.0, 0.35) + c.pick("Male", 0.25, 0.0)
    taper = c.span("jaw_taper", 0.12, 0.30) * c.pick("Male", 0.65, 1.1)
    low = ease(0.05, 0.75, c.v)
    here = width * (1 - taper * low * (1 - square * low))
    here = here * (1 + c.span("cheekbones", 0.0, 0.05) * bump(c.u * 0, c.v - 0.10, 1.0, 0.2))
    chin = c.span("face_height", 0.64, 0.74) * c.pick("Male", 1.02, 0.98)
    height = np.where(c.v < 0, np.float32(0.80), chin)
    a, b = c.u / here, c.v / height
    b2 = b * b
    # A chin of exponent between 2 (oval) and 4 (square)
    blend = np.where(c.v > 0, square, 0)
    b2 = b2 * (1 - blend + blend * b2)
    radius2 = a * a + b2
    slope = 2 * np.sqrt((a / here) ** 2 + (b / height) ** 2) + 0.6
    distance: Array = (radius2 - 1) / slope
    return distance, radius2


def relief(c: Canvas, radius2: Array) -> Array:
    """Height of the face towards the viewer, in head units."""
    u, v, side = c.uf, c.v, np.abs(c.uf)
    z = 0.55 * np.sqrt(np.clip(1.04 - 0.92 * radius2, 0.02, 2))
    spacing, brow = eye_spacing(c), eye_line(c)
    z -= 0.055 * bump(side - spacing, v - brow, 0.13, 0.075)
    z += 0.030 * bump(side - spacing, v - brow + 0.13, 0.17, 0.05)
    z += _nose(c, u, v)
    z += 0.035 * bump(side - 0.30, v - 0.13, 0.12, 0.10)
    mouth = mouth_height(c)
    z += 0.030 * bump(u, v - mouth, 0.17, 0.09)
    z -= 0.022 * bump(u, v - mouth - 0.125, 0.12, 0.03)
    z += 0.035 * bump(u, v - mouth - 0.20, 0.11, 0.07)
    z -= 0.010 * bump(u, v - mouth + 0.085, 0.022, 0.04)
    smile = c.has("Smiling") * c.span("smile_strength", 0.7, 1.0)
    height: Array = z + smile * _smile_relief(c, mouth)
    return height


def _nose(c: Canvas, u: Array, v: Array) -> Array:
    """Bridge, tip and wings."""
    end = nose_end(c)
    wide = nose_width(c)
    ramp = ease(-0.25, end, v) * (1 - ease(end + 0.01, end + 0.07, v))
    bridge = c.span("nose_bridge", 0.06, 0.11) * ramp * bump(u, v * 0, wide * 0.75, 1.0)
    tip = c.span("nose_tip", 0.035, 0.06) * bump(u, v - end + 0.015, wide * 0.75, 0.05)
    wings = 0.030 * bump(np.abs(u) - wide * 0.95, v - end + 0.005, 0.04, 0.04)
    return bridge + tip + wings


def _smile_relief(c: Canvas, mouth: Array) -> Array:
    """Cheeks pushed up and folds beside the mouth."""
    side = np.abs(c.uf)
    cheeks = 0.045 * bump(side - 0.285, c.v - mouth + 0.21, 0.09, 0.065)
    fold = side - 0.235 - 0.16 * (c.v - mouth + 0.08)
    groove = 0.016 * bump(fold, c.v - mouth + 0.09, 0.024, 0.10)
    return cheeks - groove


def draw_skin(c: Canvas, skin: Array) -> tuple[Array, Array]:
    """Paint ears and head; returns the head's coverage and the shading of its skin (B, 3, H, W)."""
    distance, radius2 = head_distance(c)
    inside = c.cover(distance)
    _draw_ears(c, skin)
    shading, gloss = _light(c, relief(c, radius2))
    surface = skin * shading
    surface += gloss[:, None]
    c.paint(surface, inside)
    return inside, shading


def _draw_ears(c: Canvas, skin: Array) -> None:
    width = face_width(c)
    size = c.span("ear_size", 0.8, 1.15)
    a, b = (np.abs(c.u) - width) / (0.075 * size), (c.v - 0.02) / (0.145 * size)
    radius2 = a * a + b * b
    ear = c.cover((radius2 - 1) * 0.035)
    tint = 0.60 + 0.22 * radius2 + 0.16 * np.sign(c.u) * c.span("light_x", -0.8, 0.8)
    c.paint(skin * colour(1.0, 0.93, 0.92) * np.clip(tint, 0.3, 1.0)[:, None], ear)


def _light(c: Canvas, z: Array) -> tuple[Array, Array]:
    """Shading (B, 3, H, W) and gloss (B, H, W) of a height field under one lamp and the sky."""
    dx = np.empty_like(z)
    dy = np.empty_like(z)
    step = np.float32(SIZE / 4)
    dx[:, :, 1:-1] = (z[:, :, 2:] - z[:, :, :-2]) * step
    dy[:, 1:-1, :] = (z[:, 2:, :] - z[:, :-2, :]) * step
    dx[:, :, 0] = dx[:, :, -1] = 0
    dy[:, 0, :] = dy[:, -1, :] = 0
    lx, ly = c.span("light_x", -0.75, 0.75), c.span("light_y", -0.75, -0.15)
    length = np.sqrt(lx * lx + ly * ly + 1)
    norm = 1 / np.sqrt(dx * dx + dy * dy + 1)
    facing = np.clip((1 - lx * dx - ly * dy) * norm / length, 0, 1)
    strength = c.span("light_strength", 0.50, 0.85)
    amount = (1.10 - 0.92 * strength) * (0.72 + 0.28 * norm) + strength * facing
    warm = c.span("light_warmth", -0.45, 1)[:, None] * colour(0.05, 0.0, -0.06)
    # Light that enters the skin comes out red, so shadows lose red last.
    depth = amount[:, None]
    shading = depth * (1 + warm) + (1 - np.clip(depth, 0, 1)) * depth * colour(0.16, 0.02, 0.0)
    half = np.clip(
        (1 - 0.5 * lx * dx - 0.5 * ly * dy) * norm / np.sqrt(1 + 0.25 * (length**2 - 1)), 0, 1
    )
    gloss = half * half
    gloss = gloss * gloss
    gloss = gloss * gloss
    gloss = gloss * gloss * gloss
    return shading, 0.09 * gloss * strength


def draw_marks(c: Canvas) -> None:
    """Mole and freckles of the person, and rosy cheeks."""
    side = np.abs(c.uf)
    spot = bump(
        c.uf - c.span("mole_u", -0.33, 0.33), c.v - c.span("mole_v", 0.02, 0.34), 0.022, 0.022
    )
    c.shade(1 - 0.55 * (spot * (c.raw("mole") > 0.6)))
    dots = np.clip(np.sin(71 * c.uf + 3) * np.sin(67 * c.v + 17 * c.uf) - 0.35, 0, 1)
    freckled = np.clip(c.raw("freckles") - 0.75, 0, 0.25) * 4
    c.shade(1 - 0.50 * freckled * dots * bump(side - 0.17, c.v - 0.08, 0.17, 0.10))
    flush = c.has("Rosy_Cheeks") * c.span("rosiness", 0.45, 0.72)
    patch = flush * bump(side - 0.285, c.v - 0.165, 0.105, 0.085)
    pink = c.rgb * colour(1.02, 0.58, 0.60) + colour(0.09, 0.0, 0.015)
    c.paint(pink, patch)


def draw_age(c: Canvas, inside: Array, blotches: Array) -> None:
    """What years leave: lines on the forehead, folds, bags, crow's feet, uneven skin."""
    old = (1 - c.has("Young")) * c.span("wrinkle_depth", 0.8, 1.0)
    side, u, v = np.abs(c.uf), c.uf, c.v
    dark = 0.34 * _forehead_lines(c, u, v)
    fold = side - 0.125 - 0.42 * (v - 0.16) + 0.25 * (v - 0.16) ** 2
    dark += 0.36 * bump(fold, v - 0.27, 0.022, 0.12)
    jowl = side - 0.255 - 0.10 * (v - 0.48)
    dark += 0.26 * bump(jowl, v - 0.50, 0.024, 0.075)
    eye = eye_line(c)
    spacing = eye_spacing(c)
    t = (side - spacing) / 0.12
    bag = v - eye - 0.115 + 0.045 * t * t
    dark += 0.34 * bump(bag, (side - spacing), 0.020, 0.10)
    dark += 0.10 * bump(side - spacing, v - eye - 0.10, 0.12, 0.06)
    light = 0.12 * bump(bag + 0.035, (side - spacing), 0.018, 0.09)
    feet = np.sin((v - eye) * 95 / (1 + 2 * np.abs(side - spacing - 0.14)))
    dark += 0.20 * np.clip(feet, 0, 1) * bump(side - spacing - 0.185, v - eye, 0.045, 0.06)
    dark += 0.22 * bump(side - 0.032, v + 0.19, 0.013, 0.055)
    uneven = 0.10 * blotches * bump(side - 0.28, v - 0.15, 0.16, 0.16)
    factor = old * inside * (light - dark + uneven)
    c.shade(1 + factor)


def _forehead_lines(c: Canvas, u: Array, v: Array) -> Array:
    phase = c.span("wrinkle_phase", 0, 6.28)
    wave = 0.012 * np.sin(11 * u + phase) + 0.10 * u * u
    lines = (v + wave + 0.435) * (6.28 / 0.088)
    ridge = np.clip(np.cos(lines), 0, 1)
    return ridge * bump(u, v + 0.43, 0.26, 0.095)
