"""The contact sheet of a rendered set: examples, one line of interventions per cause, and where
they act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vcebench.data.rendered.dataset import Flags, Images, true_region
from vcebench.data.rendered.surface import HasValues

_LABEL = 150
_HEADER = 22
_INK = (20, 20, 20)
_POOL = 200
F = TypeVar("F", bound=HasValues)


@dataclass(frozen=True)
class Drawn(Generic[F]):
    """What a sheet draws from.

    Attributes:
        title: of the sheet.
        names: binary causes, one line each.
        factors: indices → causes of these examples.
        render: causes → pictures, uint8 (B, 3, H, W).
        flip: (causes, name, wanted values (B,)) → causes with this one changed.
    """

    title: str
    names: Sequence[str]
    factors: Callable[[Sequence[int]], F]
    render: Callable[[F], Images]
    flip: Callable[[F, str, Flags], F]


def draw_sheet(drawn: Drawn[F], columns: int, rows: int, scale: int) -> Image.Image:
    """Examples, and below them what each intervention does to some of them.

    Above: `rows` times `columns` examples. Below: a line per cause with as many triples as fit:
    the example, the same with the cause's other value, and the true region in white. `scale`
    enlarges every picture.
    """
    shown = drawn.render(drawn.factors(range(rows * columns)))
    height, width = shown.shape[2] * scale, shown.shape[3] * scale
    top = _mosaic(shown, columns, scale)
    triples = columns // 3
    lines = [_line(drawn, name, triples) for name in drawn.names]
    below = _mosaic(np.concatenate(lines), triples * 3, scale)
    sheet = Image.new(
        "RGB", (_LABEL + columns * width, 2 * _HEADER + top.height + below.height), (255, 255, 255)
    )
    sheet.paste(top, (_LABEL, _HEADER))
    sheet.paste(below, (_LABEL, 2 * _HEADER + top.height))
    pen = ImageDraw.Draw(sheet)
    pen.text((_LABEL, 5), drawn.title, fill=_INK)
    for number, word in enumerate(("example", "intervention", "true region") * triples):
        pen.text((_LABEL + number * width, _HEADER + top.height + 5), word, fill=_INK)
    for number, name in enumerate(drawn.names):
        middle = 2 * _HEADER + top.height + number * height + height // 2 - 6
        pen.text((6, middle), name, fill=_INK)
    return sheet


def _line(drawn: Drawn[F], name: str, count: int) -> Images:
    """`count` triples of one cause; half of them set it and half clear it, if possible."""
    factors = drawn.factors(_both_values(drawn, name, count))
    images = drawn.render(factors)
    changed = drawn.render(drawn.flip(factors, name, ~_holds(factors, name)))
    region = true_region(images, changed)[:, None].astype(np.uint8) * np.uint8(255)
    triples = np.stack([images, changed, np.broadcast_to(region, images.shape)], axis=1)
    return triples.reshape(-1, *images.shape[1:])


def _both_values(drawn: Drawn[F], name: str, count: int) -> list[int]:
    """The first examples without and with a cause, in turn."""
    holds = _holds(drawn.factors(range(_POOL)), name)
    without, having = np.flatnonzero(~holds), np.flatnonzero(holds)
    half = min(count // 2, len(having))
    return [int(index) for index in (*without[: count - half], *having[:half])]


def _holds(factors: HasValues, name: str) -> NDArray[np.bool_]:
    return factors.value(name).astype(np.bool_)


def _mosaic(images: Images, columns: int, scale: int) -> Image.Image:
    """uint8 images (N, 3, H, W) in rows of `columns`, enlarged."""
    lines, (height, width) = len(images) // columns, images.shape[2:]
    tiles = images[: lines * columns].reshape(lines, columns, 3, height, width)
    pixels = tiles.transpose(0, 3, 1, 4, 2).reshape(lines * height, columns * width, 3)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
