"""The ground: verge or pavement, road, markings, crossing, and the bonnet of the driver's car."""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered.surface import Array, colour, ease
from vcebench.data.synthroads.canvas import HEIGHT, Canvas, rows

_GROUND = rows(18, HEIGHT)
CROSSING = 3.6
"""Half the crossing's length in rows."""


def crossing_row(c: Canvas) -> Array:
    """Rows from the horizon to the middle of the crossing, (B, 1, 1)."""
    return c.span("crossing", 24.5, 28)


def draw_ground(c: Canvas, blotches: Array, grain: Array) -> None:
    """Everything that lies flat."""
    blotches, grain = blotches[..., *_GROUND], grain[..., *_GROUND]
    c = c.window(_GROUND).of("verge")
    below = c.cover(c.horizon - c.y)
    grass = colour(0.30, 0.44, 0.20) * c.span("verge_tone", 0.8, 1.15)[:, None]
    paving = colour(0.60, 0.57, 0.54) * c.span("verge_tone", 0.8, 1.1)[:, None]
    verge = grass + c.has("Buildings")[:, None] * (paving - grass)
    c.paint(verge * (1 + (0.10 - 0.05 * c.has("Buildings")) * blotches)[:, None], below)
    aside = np.abs(c.u)
    edge = (aside - c.half) * c.g
    tone = c.span("asphalt", 0.27, 0.40) * (1 - 0.22 * c.has("Rain"))
    road = colour(1.0, 1.0, 1.03) * tone[:, None] * (1 + 0.07 * blotches + 0.03 * grain)[:, None]
    kerb = colour(0.72, 0.71, 0.68)
    c.paint(kerb, c.cover(edge - 0.10 * c.g) * below)
    c = c.of("road")
    c.paint(road, c.cover(edge) * below)
    _draw_lines(c, aside, edge, below)
    _draw_crossing(c, edge)
    wet = c.has("Rain") * ease(0, 12, c.g) * (1 - ease(14, 34, c.g))
    c.paint(colour(0.62, 0.65, 0.70), 0.22 * wet * below)


def _draw_lines(c: Canvas, aside: Array, edge: Array, below: Array) -> None:
    """Lines along both edges and a dashed one left of the driver's lane."""
    white = colour(0.86, 0.86, 0.84)
    borders = c.cover((np.abs(aside - c.half * 0.92) - 0.022) * c.g)
    c.paint(white, 0.8 * borders * below * ease(2, 5, c.g))
    turn = 70 / c.g + c.span("dash_phase", 0, 6.28)
    dashes = ease(-0.1, 0.3, np.sin(turn)) * ease(4, 7, c.g)
    line = c.cover((np.abs(c.u + c.half * c.span("lane", 0.36, 0.46)) - 0.025) * c.g)
    c.paint(white, 0.85 * line * dashes * below)


def _draw_crossing(c: Canvas, edge: Array) -> None:
    """Zebra stripes along the driver's way."""
    stripes = ease(-0.25, 0.25, np.sin(c.u * 18 + c.span("stripe_phase", 0, 6.28)))
    band = c.cover(np.abs(c.g - crossing_row(c)) - CROSSING) * c.cover(edge + 0.12 * c.g)
    c.paint(colour(0.90, 0.90, 0.88) * c.span("crossing_tone", 0.82, 1.0)[:, None], band * stripes)


def draw_bonnet(c: Canvas) -> None:
    """The front of the driver's own car, a dark arc at the lower edge."""
    c = c.window(rows(56, HEIGHT))
    across = (c.x - 64) / 64
    top = c.span("bonnet", 61.2, 62.6) + 2.6 * across * across
    shine = 1 + 0.9 * np.clip(1 - (c.y - top) / 2, 0, 1)
    c.paint(colour(0.10, 0.11, 0.13) * shine[:, None], c.cover(top - c.y))
