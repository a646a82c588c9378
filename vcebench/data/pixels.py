"""A decoded picture of any kind as 8-bit RGB, or the reason why its levels are not known.

Pillow's own conversion to RGB clips what has more than 8 bits and shows the colour that hides
behind full transparency; both look like images and are none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from vcebench.data.remarks import Habit

Colour = tuple[int, int, int]
Met = Callable[[Habit], None]

WHITE: Colour = (255, 255, 255)

_DIM = 8
"""A 16-bit picture that stays below this part of its range was made by a 12-bit instrument."""

_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats of at most 16 bits: where Pillow opens them as 32-bit integers, the range is known."""


class UnknownRangeError(ValueError):
    """The picture's values have no range that says which is black and which is white."""


def to_rgb(picture: Image.Image, background: Colour = WHITE, met: Met | None = None) -> Image.Image:
    """The picture in 8-bit RGB.

    16-bit values are scaled by the range of their type, transparent pixels composed on a colour;
    grey, palettes and CMYK are converted as Pillow does.

    Args:
        picture: as Pillow opened it.
        background: colour behind transparent pixels.
        met: told what kind of picture it was.

    Raises:
        UnknownRangeError: 32-bit integers or floating point.
    """
    tell = met or (lambda habit: None)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return Image.fromarray(_levels(picture, tell)).convert("RGB")
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        if layered.getchannel("A").getextrema() != (255, 255):
            tell("transparent")
            behind = Image.new("RGBA", layered.size, (*background, 255))
            layered = Image.alpha_composite(behind, layered)
        return layered.convert("RGB")
    return picture.convert("RGB")


def turned(image: Image.Image, original: Image.Image) -> Image.Image:
    """A converted image, turned as the EXIF entry of the original says."""
    key = ExifTags.Base.Orientation
    image.getexif()[key] = original.getexif().get(key, 1)
    return ImageOps.exif_transpose(image)


def _levels(picture: Image.Image, tell: Met) -> npt.NDArray[np.uint8]:
    """Grey levels of a picture of more than 8 bits, uint8 (H, W)."""
    values: npt.NDArray[Any] = np.asarray(picture)
    whole = picture.mode != "F"
    if not whole or (picture.mode == "I" and picture.format not in _SIXTEEN_BITS):
        raise UnknownRangeError(
            f"mode {picture.mode}, {'32-bit integers' if whole else 'floating point'} from "
            f"{values.min():g} to {values.max():g}, and nothing says which value is white; "
            "save it with 8 or 16 bits"
        )
    tags = getattr(picture, "tag_v2", {})
    top = 2 ** (12 if tags.get(_BITS) == (12,) else 16) - 1
    tell("deep")
    if int(values.max()) * _DIM < top:
        tell("dim")
    wide = values.astype(np.uint32)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        wide = top - wide
    return ((wide * 255 + top // 2) // top).astype(np.uint8)
