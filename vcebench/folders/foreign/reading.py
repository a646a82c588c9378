"""Opening what a stranger wrote: inside its folder, no links, bounded sizes, nothing executed."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vcebench.errors import UserError
from vcebench.folders import inside

LARGEST_FILE = 256 * 2**20
LARGEST_PICTURE = 64 * 10**6
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


class UnusableFileError(UserError):
    """A single file that cannot be used; an import leaves its image out and says so."""


def entries(root: Path, relative: str) -> list[str]:
    """Names of the files in a folder, sorted; hidden ones and folders are passed over.

    Raises `UserError` if there is no such folder, or a link lies in the way.
    """
    path = root / relative
    _no_links(root, relative)
    try:
        with os.scandir(path) as found:
            listed = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"there is no folder {path}; give another path") from error
    for entry in listed:
        if entry.is_symlink():
            raise UserError(f"{entry.path} is a link; links are not followed: copy the file itself")
    return [e.name for e in listed if e.is_file(follow_symlinks=False) and e.name[0] != "."]


def read_bounded(root: Path, relative: str, limit: int) -> bytes:
    """Content of a plain file inside a folder.

    Raises:
        UnusableFileError: there is none, it is larger than `limit` bytes, or no plain file.
        UserError: a link lies in the way.
    """
    try:
        with inside.opened(root, relative, limit) as file:
            return file.read(limit)
    except inside.UnfitFileError as error:
        raise UnusableFileError(
            f"{relative} is no plain file, or larger than {limit} bytes"
        ) from error
    except OSError as error:
        raise UnusableFileError(f"{relative} is missing, or cannot be opened") from error


@lru_cache(maxsize=1024)
def _no_links(root: Path, relative: str) -> None:
    """Refuse a folder that is, or lies behind, a link inside the root."""
    path = root
    for part in Path(relative).parts:
        path = path / part
        if path.is_symlink():
            raise UserError(f"{path} is a link; links are not followed: copy the folder itself")


def read_picture(root: Path, relative: str) -> tuple[Tensor, str]:
    """A picture inside a folder, uint8 with shape (3, H, W), and the SHA-256 of its file.

    Grey and palette become RGB, opacity is dropped.

    Raises:
        UnusableFileError: missing, damaged, truncated, of more than 8 bits, or too large.
        UserError: a link lies in the way.
    """
    content = read_bounded(root, relative, LARGEST_FILE)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > LARGEST_PICTURE:
                raise UnusableFileError(
                    f"{relative} has {picture.width}x{picture.height} pixels; that is too large"
                )
            if picture.mode not in MODES:
                raise UnusableFileError(f"{relative} has other levels than 8 bits")
            pixels = np.array(picture.convert("RGB"))
    except UnusableFileError:
        raise
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise UnusableFileError(f"{relative} is damaged, or no picture") from error
    image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    return image, hashlib.sha256(content).hexdigest()
