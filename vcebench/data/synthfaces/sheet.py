"""The contact sheet: faces, one intervention per attribute, and where it acts."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from vcebench.data.synthfaces.canvas import SIZE
from vcebench.data.synthfaces.dataset import Flags, Images, SynthFaces, true_region
from vcebench.data.synthfaces.render import render
from vcebench.data.synthfaces.scm import NAMES

_LABEL = 150
_HEADER = 22
_INK = (20, 20, 20)


def contact_sheet(
    *, split: str = "test", seed: int = 0, columns: int = 12, rows: int = 4, scale: int = 2
) -> Image.Image:
    """Faces of a split, and below them what each intervention does to some of them.

    Above: `rows` times `columns` examples. Below: a line per attribute (and the corner patch) with
    as many triples as fit: the example, its true counterfactual for the other value of the
    attribute, and the true region in white. `scale` enlarges every picture.
    """
    faces = SynthFaces(split=split, seed=seed)
    shown, _ = faces.batch(range(rows * columns))
    top = _mosaic(shown, columns, scale)
    lines = [_line(faces, name, columns // 3) for name in NAMES]
    below = _mosaic(np.concatenate(lines), columns // 3 * 3, scale)
    size = _LABEL + columns * SIZE * scale, 2 * _HEADER + top.height + below.height
    sheet = Image.new("RGB", size, (255, 255, 255))
    sheet.paste(top, (_LABEL, _HEADER))
    sheet.paste(below, (_LABEL, 2 * _HEADER + top.height))
    _write_labels(ImageDraw.Draw(sheet), top.height, split, columns // 3, SIZE * scale)
    return sheet


def _line(faces: SynthFaces, name: str, count: int) -> Images:
    """`count` triples of one attribute; half of them set it and half clear it, if possible."""
    factors = faces.factors(_both_values(faces, name, count))
    images = render(factors)
    changed = render(factors.do({name: ~factors.value(name).astype(np.bool_)}))
    region = _as_image(true_region(images, changed))
    return np.stack([images, changed, region], axis=1).reshape(-1, 3, SIZE, SIZE)


def _both_values(faces: SynthFaces, name: str, count: int) -> list[int]:
    """The first examples without and with an attribute, in turn."""
    holds = faces.factors(range(len(faces))[:200]).value(name).astype(np.bool_)
    without, having = np.flatnonzero(~holds), np.flatnonzero(holds)
    half = min(count // 2, len(having))
    chosen = [*without[: count - half], *having[:half]]
    return [int(index) for index in chosen]


def _as_image(region: Flags) -> Images:
    grey = region.astype(np.uint8) * np.uint8(255)
    return np.repeat(grey[:, None], 3, axis=1)


def _mosaic(images: Images, columns: int, scale: int) -> Image.Image:
    """uint8 images (N, 3, H, W) in rows of `columns`, enlarged."""
    lines = len(images) // columns
    tiles = images[: lines * columns].reshape(lines, columns, 3, SIZE, SIZE)
    pixels = tiles.transpose(0, 3, 1, 4, 2).reshape(lines * SIZE, columns * SIZE, 3)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)


def _write_labels(
    pen: ImageDraw.ImageDraw, top_height: int, split: str, triples: int, cell: int
) -> None:
    pen.text((_LABEL, 5), f"synthfaces, {split}: examples 0 and on", fill=_INK)
    line = _HEADER + top_height + 5
    for triple in range(triples):
        for number, word in enumerate(("example", "intervention", "true region")):
            pen.text((_LABEL + (3 * triple + number) * cell, line), word, fill=_INK)
    for number, name in enumerate(NAMES):
        middle = 2 * _HEADER + top_height + number * cell + cell // 2 - 6
        pen.text((6, middle), name, fill=_INK)
