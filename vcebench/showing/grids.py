"""Images in rows and columns, as one picture: what notebooks show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from vcebench.showing.pictures import TILE, enlarge, font

_GAP, _HEAD, _LINE = 6, 26, 20
_INK, _PAPER, _ABSENT = (25, 25, 25), (255, 255, 255), (225, 225, 225)


def grid(columns: Mapping[str, Sequence[Tensor | None]], captions: Sequence[str]) -> Image.Image:
    """A picture with a heading over every column and a caption under every row.

    Args:
        columns: heading → images uint8 (3, H, W), one for each row; None is left grey.
        captions: one for each row.
    """
    known = [image for column in columns.values() for image in column if image is not None]
    width, height = enlarge(known[0]).size if known else (TILE, TILE)
    size = (
        _GAP + len(columns) * (width + _GAP),
        _HEAD + len(captions) * (height + _LINE + _GAP),
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (heading, images) in enumerate(columns.items()):
        left = _GAP + number * (width + _GAP)
        draw.text((left, 6), heading, fill=_INK, font=font(13))
        for row, image in enumerate(images):
            top = _HEAD + row * (height + _LINE + _GAP)
            if image is None:
                draw.rectangle((left, top, left + width - 1, top + height - 1), fill=_ABSENT)
            else:
                sheet.paste(enlarge(image), (left, top))
    for row, caption in enumerate(captions):
        top = _HEAD + row * (height + _LINE + _GAP) + height
        draw.text((_GAP, top + 2), caption, fill=_INK, font=font(12))
    return sheet
