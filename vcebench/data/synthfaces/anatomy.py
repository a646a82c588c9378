"""Where the parts of a face are: what more than one drawing routine has to agree on.

Every function gives head units with shape (B, 1, 1).
"""

from __future__ import annotations

from vcebench.data.rendered.surface import Array
from vcebench.data.synthfaces.canvas import Canvas


def face_width(c: Canvas) -> Array:
    """Half the width of the face of this person, before the attributes have their say."""
    return c.span("face_width", 0.475, 0.55)


def eye_line(c: Canvas) -> Array:
    """Height v of the eyes' centres."""
    return c.span("eye_height", -0.10, -0.06) + c.span("pitch", -0.02, 0.02)


def eye_spacing(c: Canvas) -> Array:
    """Distance u of an eye's centre from the middle."""
    return c.span("eye_spacing", 0.205, 0.26)


def nose_end(c: Canvas) -> Array:
    """Height v of the nose's tip."""
    return c.span("nose_length", 0.13, 0.20) + c.span("pitch", -0.01, 0.01)


def nose_width(c: Canvas) -> Array:
    """Half the distance between the wings of the nose."""
    return c.span("nose_width", 0.075, 0.115) * c.pick("Male", 1.06, 0.97)


def mouth_height(c: Canvas) -> Array:
    """Height v of the mouth in a face that looks straight ahead."""
    return c.span("mouth_height", 0.35, 0.41)
