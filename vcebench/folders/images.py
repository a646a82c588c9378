"""Images between disk and networks: uint8 in files, float32 in [-1, 1] in networks."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from vcebench.errors import one_line

LARGEST_SIDE = 4096
"""Longest side of an image in pixels."""

ImageFormat = Literal["png", "jpeg"]


def dequantise(image: Tensor) -> Tensor:
    """uint8 of any shape to float32 in [-1, 1]: u/127.5 - 1."""
    return image.float() / 127.5 - 1.0


def quantise(image: Tensor) -> Tensor:
    """Float in [-1, 1] of any shape to uint8, rounded to the nearest level and clamped."""
    return ((image + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def truncate(image: Tensor) -> Tensor:
    """Float in [-1, 1] to uint8 as the authors' scripts do: levels are cut off, not rounded."""
    return ((image + 1.0) * 127.5).clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Codec:
    """How counterfactuals become files.

    name: "png", or "jpeg" as the authors' scripts save (quality 75, levels truncated).
    level: how hard PNG files are compressed, 1 … 9; the pixels are the same.
    """

    name: ImageFormat = "png"
    level: int = 6

    @property
    def suffix(self) -> str:
        """File name ending, with the dot."""
        return ".jpg" if self.name == "jpeg" else ".png"

    def quantise(self, image: Tensor) -> Tensor:
        """Float in [-1, 1] to the uint8 levels that are handed to the encoder."""
        return truncate(image) if self.name == "jpeg" else quantise(image)

    def encode(self, image: Tensor) -> bytes:
        """File content of a uint8 image with shape (3, H, W)."""
        buffer = io.BytesIO()
        picture = to_pil(image)
        if self.name == "jpeg":
            picture.save(buffer, "JPEG")  # Pillow's default quality is 75
        else:
            picture.save(buffer, "PNG", compress_level=self.level)
        return buffer.getvalue()

    def stored(self, image: Tensor) -> Tensor:
        """What a reader of the file will see: uint8 (3, H, W), the input itself for PNG."""
        return decode(self.encode(image)) if self.name == "jpeg" else image


def to_pil(image: Tensor) -> Image.Image:
    """uint8 (3, H, W), or (1, H, W), as a Pillow image of three channels."""
    image = image.expand(3, -1, -1)
    return Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()), "RGB")


def decode(content: bytes) -> Tensor:
    """Content of a stored image as uint8 with shape (3, H, W); raises ValueError if it is none."""
    return torch.from_numpy(_pixels(content, "RGB")).permute(2, 0, 1).contiguous()


def _pixels(content: bytes, mode: str) -> npt.NDArray[np.uint8]:
    """The pixels of a PNG or JPEG file that a stranger may have made.

    No other format is tried: some decoders of Pillow's start programs. The size is looked at before
    anything is decoded.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise ValueError(f"it has {picture.width}x{picture.height} pixels")
            if picture.mode != mode:
                raise ValueError(f"its pixels are of the kind {picture.mode}, not {mode}")
            return np.array(picture)
    except UnidentifiedImageError:
        raise ValueError("it is no PNG or JPEG file") from None
    except Exception as error:  # decoders raise almost anything on a damaged file
        raise ValueError(one_line(error)) from error


def encode_masks(mask_z: Tensor | None, mask_x: Tensor | None) -> bytes | None:
    """Two boolean masks (1, H, W) in one grey PNG: 85 for M^z plus 170 for M^x.

    None if the method has no masks. A missing single mask is everywhere.
    """
    known = mask_x if mask_z is None else mask_z
    if known is None:
        return None
    both = [torch.ones_like(known) if mask is None else mask for mask in (mask_z, mask_x)]
    # Release-compatible masks have a channel each; the picture shows their union.
    outer, inner = (mask.amax(0).to(torch.uint8).cpu() for mask in both)
    bits = 85 * outer + 170 * inner
    buffer = io.BytesIO()
    Image.fromarray(bits.numpy(), "L").save(buffer, "PNG")
    return buffer.getvalue()


def decode_masks(content: bytes) -> tuple[Tensor, Tensor]:
    """(M^z, M^x), boolean with shape (H, W), of what `encode_masks` made; raises ValueError."""
    bits = torch.from_numpy(_pixels(content, "L")) // 85
    return (bits & 1).bool(), (bits & 2).bool()


def encode_region(region: Tensor) -> bytes:
    """A boolean region (1, H, W) as a PNG of one bit a pixel, white where it may change."""
    buffer = io.BytesIO()
    Image.fromarray(region[0].cpu().numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def decode_region(content: bytes) -> Tensor:
    """A region, boolean with shape (H, W), of what `encode_region` made; raises ValueError."""
    return torch.from_numpy(_pixels(content, "1"))


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to disk, then rename it into place."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
