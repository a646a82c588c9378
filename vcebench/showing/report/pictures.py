"""The pictures of a report: PNG files beside the pages, nothing scaled."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vcebench.folders.images import quantise

MOST_FRAMES = 100
COLUMNS = 10

_BRIGHTER = torch.tensor([240, 78, 62])
_DARKER = torch.tensor([84, 122, 250])
_OUTER = torch.tensor([70.0, 130.0, 200.0])
_INNER = torch.tensor([250.0, 190.0, 60.0])


@dataclass(frozen=True)
class Film:
    """The steps of a trace as picture strips, `COLUMNS` frames a line.

    Attributes:
        indices: respaced index of every frame, counting down.
        strips: "z", "x_t", "difference" and (with masks) "mask" → content of a PNG.
    """

    indices: tuple[int, ...]
    strips: dict[str, bytes]


def difference(before: Tensor, after: Tensor) -> Tensor:
    """Signed difference of two uint8 images (3, H, W), mean over channels: uint8 (4, H, W).

    Red where the image became brighter, blue where it became darker, full at half the range, and
    small changes more visible than in proportion (power 0.6); transparent where it is unchanged, so
    that it suits light and dark pages.
    """
    change = (after.float() - before.float()).mean(dim=0) / 128
    colour = torch.where(change > 0, _BRIGHTER[:, None, None], _DARKER[:, None, None])
    opacity = (255 * change.abs().clamp(max=1) ** 0.6).round()
    return torch.cat([colour, opacity[None]]).to(torch.uint8)


def mask_picture(image: Tensor, outer: Tensor, inner: Tensor) -> Tensor:
    """The masks over a greyed image: uint8 (3, H, W).

    Args:
        image: the input, uint8 (3, H, W).
        outer, inner: M^z and M^x, boolean (H, W); drawn blue and yellow.
    """
    grey = image.float().mean(dim=0)
    picture = (96 + 0.35 * grey).expand(3, -1, -1)
    for mask, colour in ((outer, _OUTER), (inner, _INNER)):
        tinted = 0.8 * colour[:, None, None] + 0.2 * grey
        picture = torch.where(mask, tinted, picture)
    return picture.round().clamp(0, 255).to(torch.uint8)


def film_of(trace: Mapping[str, Tensor], image: Tensor) -> Film:
    """The strips of a trace.

    Args:
        trace: see `RunFolder.trace`.
        image: the input, uint8 (3, H, W).
    """
    kept = _spread(len(trace["index"]))
    z, x_t, outer, inner = (trace[n][kept] for n in ("z", "x_t", "mask_z", "mask_x"))
    indices = tuple(int(i) for i in trace["index"][kept])
    steps = quantise(x_t)
    frames = {
        "z": quantise(z),
        "x_t": steps,
        "difference": torch.stack([difference(image, step) for step in steps]),
    }
    if not bool(outer.all() and inner.all()):
        # Release-compatible masks have a channel each; the picture shows their union.
        pairs = zip(outer.amax(1), inner.amax(1), strict=True)
        frames["mask"] = torch.stack([mask_picture(image, m_z, m_x) for m_z, m_x in pairs])
    return Film(indices, {name: png(_strip(f)) for name, f in frames.items()})


def png(image: Tensor) -> bytes:
    """A uint8 image (3, H, W), or with opacity (4, H, W), as the content of a PNG file."""
    buffer = io.BytesIO()
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    Image.fromarray(pixels, "RGBA" if len(image) == 4 else "RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _spread(steps: int) -> list[int]:
    """At most `MOST_FRAMES` steps, the first and the last among them."""
    count = min(steps, MOST_FRAMES)
    return sorted({round(k * (steps - 1) / max(1, count - 1)) for k in range(count)})


def _strip(frames: Tensor) -> Tensor:
    """Frames (T, 3, H, W) in lines of `COLUMNS`: (3, lines·H, COLUMNS·W)."""
    count, channels, height, width = frames.shape
    lines = math.ceil(count / COLUMNS)
    sheet = frames.new_zeros((lines * COLUMNS, channels, height, width))
    sheet[:count] = frames
    grid = sheet.reshape(lines, COLUMNS, channels, height, width)
    return grid.permute(2, 0, 3, 1, 4).reshape(channels, lines * height, COLUMNS * width)
