"""The contact sheet of a run: what was changed, at one glance."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vcebench.data.base import Task
from vcebench.data.spread import spread
from vcebench.folders.images import to_pil
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder

TILE = 128
_GAP, _TITLE, _HEAD = 6, 22, 26
_COLUMNS = [
    "input",
    "counterfactual",
    "difference",
    "region",
    "mask z",
    "mask x",
    "true counterfactual",
]
_INK, _PAPER = (25, 25, 25), (255, 255, 255)


def contact_sheet(folder: RunFolder, task: Task, count: int = 12) -> Image.Image:
    """Input, counterfactual, difference, region, masks, true counterfactual of some images.

    The difference is signed: red is brighter than before, blue darker, white unchanged. Images are
    enlarged by whole factors, so that pixels stay pixels. A column that no image fills is left out,
    and a mask that is everywhere (as that of a method which has none is stored) fills none.

    Args:
        folder: the run; the first `count` images that have a counterfactual are shown. Of one's own
            images, which lie in folders by class, they are spread over all.
        task: gives the classes their names.
    """
    rows = [row for row in folder.rows() if row.finite]
    own = folder.config().custom is not None
    rows = [rows[k] for k in (spread(len(rows), count) if own else range(len(rows))[:count])]
    cells = [_cells(folder, row) for row in rows]
    heads = [head for head in _COLUMNS if any(head in cell for cell in cells)] or _COLUMNS[:2]
    tile = next(iter(cells[0].values())).size if cells else (TILE, TILE)
    blocks = 1 if len(rows) <= 3 else 2
    lines = -(-len(rows) // blocks)
    width = len(heads) * (tile[0] + _GAP) + 3 * _GAP
    height = tile[1] + _TITLE + _GAP
    sheet = Image.new("RGB", (blocks * width, _HEAD + lines * height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for block in range(blocks):
        for column, head in enumerate(heads):
            at = (block * width + _GAP + column * (tile[0] + _GAP), 6)
            draw.text(at, head, fill=_INK, font=font(13))
    for position, (row, cell) in enumerate(zip(rows, cells, strict=True)):
        left = (position // lines) * width + _GAP
        top = _HEAD + (position % lines) * height
        draw.text((left, top + 2), _caption(row, task), fill=_INK, font=font(12))
        for column, head in enumerate(heads):
            if head in cell:
                sheet.paste(cell[head], (left + column * (tile[0] + _GAP), top + _TITLE))
    return sheet


def _cells(folder: RunFolder, row: Row) -> dict[str, Image.Image]:
    """Heading → enlarged picture of one image."""
    before, after = folder.images("inputs", [row])[0], folder.images("counterfactuals", [row])[0]
    cells = {"input": before, "counterfactual": after, "difference": difference(before, after)}
    region = folder.region(row)
    if region is not None:
        cells["region"] = region_picture(before, region)
    masks = zip(("mask z", "mask x"), folder.masks(row) or (), strict=False)
    cells |= {head: _mask(mask) for head, mask in masks if not mask.all()}
    if folder.has("truths", row):
        cells["true counterfactual"] = folder.image("truths", row)
    return {head: enlarge(image) for head, image in cells.items()}


def difference(before: Tensor, after: Tensor) -> Tensor:
    """Signed difference of two uint8 images (3, H, W), mean over channels, as a coloured picture.

    Red where the image became brighter, blue where it became darker, white where it is unchanged;
    full colour at half the range.
    """
    change = (after.float() - before.float()).mean(dim=0) / 128
    up, down = change.clamp(0, 1), (-change).clamp(0, 1)
    coloured = torch.stack([1 - down, 1 - torch.maximum(up, down), 1 - up])
    return (coloured * 255).round().to(torch.uint8)


def region_picture(image: Tensor, region: Tensor) -> Tensor:
    """An image with all that may not change faded to grey: uint8 (3, H, W).

    Args:
        image: uint8 (3, H, W).
        region: where it may change, boolean (H, W).
    """
    grey = (96 + 0.35 * image.float().mean(dim=0)).round().to(torch.uint8)
    return torch.where(region, image, grey)


def _mask(mask: Tensor) -> Tensor:
    return (mask.to(torch.uint8) * 255).expand(3, -1, -1)


def enlarge(image: Tensor) -> Image.Image:
    """A uint8 image (3, H, W) by a whole factor, to about `TILE` pixels."""
    picture = to_pil(image)
    factor = max(1, TILE // min(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.BOX)


def _caption(row: Row, task: Task) -> str:
    names = dict(zip(task.classes, task.labels, strict=True))
    source, target = (str(names.get(c, c)) for c in (row.source, row.target))
    before, after = row.target_probability_input, row.target_probability
    parts = [row.id, f"{source} → {target}"]
    if before is not None and after is not None:
        parts.append(f"p({target}) {before:.2f} → {after:.2f}")
    if row.lambda_class is not None:
        parts.append(f"λ = {row.lambda_class:g}")
    caption = "   ".join(parts)
    return caption if row.flipped else f"{caption}, {_verdict(row)}"


def _verdict(row: Row) -> str:
    return "not flipped" if row.flipped is False else "flip not known"


def font(size: int) -> ImageFont.FreeTypeFont:
    """The font of all pictures."""
    # matplotlib's own DejaVu has the arrows and Greek letters that Pillow's default font lacks.
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def example_sheet(images: Sequence[tuple[str, Tensor]], columns: int = 12) -> Image.Image:
    """Captioned images, enlarged; images are uint8 with shape (3, H, W)."""
    tiles = [(caption, enlarge(image)) for caption, image in images]
    width, height = tiles[0][1].size
    rows = -(-len(tiles) // columns)
    size = (columns * (width + _GAP) + _GAP, rows * (height + _TITLE) + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for position, (caption, tile) in enumerate(tiles):
        left = _GAP + (position % columns) * (width + _GAP)
        top = (position // columns) * (height + _TITLE)
        draw.text((left, top + 4), caption, fill=_INK, font=font(11))
        sheet.paste(tile, (left, top + _TITLE))
    return sheet


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
