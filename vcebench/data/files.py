"""Image files of a data set on disk: found, read, brought to the size of the networks.

Preprocessing follows the authors' loaders: Pillow resizes the decoded image, so the numbers are
those of its filters.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from vcebench.data.kinds import formats
from vcebench.data.pixels import WHITE, Colour, Met, UnknownRangeError, to_rgb, turned
from vcebench.errors import UserError

ENVIRONMENT = "VCEBENCH_DATA"

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}

_LYING = range(5, 9)
"""EXIF orientations of which width and height are exchanged."""


_JPEG_END, _TAIL = b"\xff\xd9", 4096
"""Mark at the end of a JPEG file, and where to look for it: cameras write a little behind it."""


class BadImageError(UserError):
    """An image file that cannot be used; `--skip-bad` leaves such files out."""


@dataclass(frozen=True)
class Geometry:
    """How an image of any size becomes one of (height, width).

    fit: "crop" scales until the image covers the size and cuts out the middle; "stretch" resizes
        the whole image; "pad" scales it into the size, with black around.
    """

    height: int
    width: int
    fit: Literal["crop", "stretch", "pad"] = "crop"
    resample: Literal["bilinear", "bicubic", "nearest"] = "bilinear"

    def apply(self, image: Image.Image) -> Image.Image:
        """The image with the wanted size."""
        resample = _FILTERS[self.resample]
        wanted = (self.width, self.height)
        if self.fit == "stretch":
            return image.resize(wanted, resample)
        ratios = (self.width / image.width, self.height / image.height)
        scale = max(ratios) if self.fit == "crop" else min(ratios)
        # The other side is cut down to a whole number, as torchvision's Resize does.
        size = [
            side if ratio == scale else max(1, int(length * scale + 1e-6))
            for side, ratio, length in zip(wanted, ratios, image.size, strict=True)
        ]
        scaled = image.resize((size[0], size[1]), resample)
        left, top = (
            round((have - want) / 2.0) for have, want in zip(scaled.size, wanted, strict=True)
        )
        return scaled.crop((left, top, left + self.width, top + self.height))


def read_picture(
    path: Path,
    geometry: Geometry,
    native: tuple[int, int] | None = None,
    upright: bool = False,
    background: Colour = WHITE,
    met: Met | None = None,
) -> Tensor:
    """An image file as uint8 with shape (3, height, width).

    Args:
        path: JPEG, PNG or another format of still pictures that Pillow reads; see
            `vcebench.data.pixels.to_rgb` for what becomes of their modes.
        geometry: the size wanted.
        native: (width, height) that the file must have; None allows any.
        upright: turn the image as its EXIF entry says.
        background: colour behind transparent pixels.
        met: told what kind of file it was.

    Raises:
        BadImageError: missing, damaged, truncated, of another size, or of values without a range.
    """
    try:
        with Image.open(path, formats=formats()) as picture:
            if native is not None and picture.size != native:
                raise BadImageError(
                    f"{path} has {_size(picture.size)} pixels, the data set's images have "
                    f"{_size(native)}: use the original files, or --skip-bad"
                )
            image = to_rgb(picture, background, met)
            if upright:
                image = turned(image, picture)
            if met is not None and getattr(picture, "n_frames", 1) > 1:
                met("several")
            pixels = np.array(geometry.apply(image))
    except FileNotFoundError as error:
        raise BadImageError(f"{path} is missing: complete the data, or use --skip-bad") from error
    except UnknownRangeError as error:
        raise BadImageError(f"{path}: {error}") from error
    except UserError:
        raise
    except Exception as error:  # Pillow's many decoders raise what they like at damaged files
        detail = " ".join(str(error).split()).replace(str(path), path.name)
        raise BadImageError(
            f"{path} cannot be decoded ({detail}): replace it, or use --skip-bad"
        ) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def check_picture(path: Path, geometry: Geometry) -> None:
    """Refuse an image file that `read_picture` would refuse, mostly without decoding it.

    PNG files carry checksums and JPEG files a mark at their end; whatever has neither, or not as it
    should be, is decoded.

    Raises BadImageError.
    """
    if not _is_whole(path):
        read_picture(path, geometry, upright=True)


def _is_whole(path: Path) -> bool:
    """Whether a file is without doubt a complete picture of 8 or 16 bits."""
    try:
        with Image.open(path, formats=formats()) as picture:
            if picture.format == "PNG":
                picture.verify()
                return True
            if picture.format == "JPEG":
                with open(path, "rb") as file:
                    file.seek(max(0, path.stat().st_size - _TAIL))
                    return _JPEG_END in file.read()
    except Exception:  # decoding it says what is wrong
        return False
    return False


def picture_size(path: Path, upright: bool = False) -> tuple[int, int]:
    """(width, height) from the header of an image file; raises BadImageError.

    upright: as the image is once it was turned as its EXIF entry says.
    """
    try:
        with Image.open(path, formats=formats()) as picture:
            lying = upright and picture.getexif().get(ExifTags.Base.Orientation, 1) in _LYING
            return picture.size[::-1] if lying else picture.size
    except Exception as error:  # as above
        raise BadImageError(f"{path} is missing or no image") from error


def inside(root: Path, relative: str) -> Path:
    """The real path of a file of the data set.

    Raises UserError if it, or a link on the way, leads out of the data set's folder.
    """
    base = root.resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise UserError(
            f"{relative!r} leads out of {root}: files have to lie inside the data folder; "
            "move them there"
        )
    return path


def data_folder(name: str, root: Path | None, layouts: Sequence[str], fetch: str) -> Path:
    """The folder of a data set.

    Args:
        name: id of the data set.
        root: from --data-root; $VCEBENCH_DATA without it.
        layouts: names that the data set's folder may have inside the root; the root itself is
            taken if it holds none of them.
        fetch: what to get and how to lay it out, for the message.

    Raises UserError that says what to fetch and where to put it.
    """
    given = root or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    if given is None:
        raise UserError(
            f"{name} needs its images: {fetch} into a folder {layouts[0]}/ of a data folder; then "
            f"say --data-root FOLDER or set {ENVIRONMENT}. `vcebench check --dataset {name}` lists "
            "all that is missing, networks included"
        )
    base = given.expanduser()
    if not base.is_dir():
        raise UserError(f"there is no folder {base}: {fetch} into {base / layouts[0]}/")
    for layout in layouts:
        if (base / layout).is_dir():
            return base / layout
    return base


def first_present(base: Path, names: Sequence[str], what: str, fetch: str) -> Path:
    """The first of several possible places of a file or folder.

    Raises UserError that says what to fetch and where to put it.
    """
    for name in names:
        if (base / name).exists():
            return base / name
    raise UserError(f"{what} is missing: {fetch}; looked for {' and '.join(names)} in {base}")


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
