"""Masks of somebody's own: one file per image that says which of its pixels may change."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vcebench.data.base import ImageSet
from vcebench.data.files import BadImageError, inside, picture_size
from vcebench.data.listed import ListedSet
from vcebench.errors import UserError


@dataclass(frozen=True)
class MaskFolder:
    """A folder of ID.png; pixels of which a channel is above 0 may change, unless transparent.

    For images in files, NAME.png does as well, NAME being that of the image's file without ending,
    as long as no other image is called so. A mask has the size of the image's own file (upright, if
    its EXIF entry turns it), and is then cropped or resized as the image is, but to the nearest
    pixel; or it has the size of the image as networks see it.
    """

    path: Path

    @cached_property
    def files(self) -> dict[str, Path]:
        """Image id → file. Raises UserError if the folder holds none."""
        found = {p.stem: p for p in sorted(self.path.glob("*.png"))} if self.path.is_dir() else {}
        if not found:
            raise UserError(
                f"{self.path} holds no masks; put a file ID.png there for each image, above 0 "
                "where it may change (`vcebench region IMAGE…` helps to paint them)"
            )
        return found

    def digest(self) -> str:
        """SHA-256 over names and contents of all masks."""
        whole = hashlib.sha256()
        for name, path in self.files.items():
            content = hashlib.sha256(self._inside(path).read_bytes())
            whole.update(f"{name}\0{content.hexdigest()}\n".encode())
        return whole.hexdigest()

    def mask(self, images: ImageSet, index: int, image_id: str) -> Tensor:
        """The mask of an image, bool with shape (1, H, W).

        Raises UserError: the file is missing, damaged, empty, or has another size than the image.
        """
        name = self._name(images, index, image_id)
        if name is None:
            raise UserError(f"{self.path} has no mask {image_id}.png; paint one, or explain fewer")
        path = self._inside(self.files[name])
        sizes = _sizes(images, index)
        try:
            with Image.open(path, formats=("PNG",)) as picture:
                size = picture.size  # told by the header; a mask of another one is not decoded
                mask = _marked(picture) if size in sizes else None
        except Exception as error:  # decoders raise almost anything on a damaged file
            raise UserError(f"{path} cannot be read as PNG; save the mask again") from error
        if mask is None:
            wanted = " or ".join(f"{width}x{height}" for width, height in sizes)
            raise UserError(f"{path} has {size[0]}x{size[1]} pixels; its image has {wanted}")
        if isinstance(images, ListedSet) and size != images.size[::-1]:
            mask = replace(images.geometry, resample="nearest").apply(mask)
        pixels = torch.from_numpy(np.array(mask) > 0)[None]
        if not bool(pixels.any()):
            raise UserError(f"{path} marks no pixel that may change; paint something above 0")
        return pixels

    def check(
        self, images: ImageSet, indices: Iterable[int], skip_bad: bool = False
    ) -> tuple[str, ...]:
        """Read the masks of these images once; returns names of masks of no image among them.

        Args:
            skip_bad: images that cannot be read are left out of a run, and need no mask.

        Raises UserError; see `mask`.
        """
        used = set()
        for index in indices:
            try:
                image_id = images[index].id
            except BadImageError:
                if not skip_bad:
                    raise
                continue
            self.mask(images, index, image_id)
            used.add(self._name(images, index, image_id))
        return tuple(name for name in self.files if name not in used)

    def _name(self, images: ImageSet, index: int, image_id: str) -> str | None:
        """The mask of an image by its id, or by the name of its file."""
        if image_id in self.files or not isinstance(images, ListedSet):
            return image_id if image_id in self.files else None
        name = Path(images.files[index]).stem
        if name not in self.files:
            return None
        if self._stems(images)[name] > 1:
            raise UserError(
                f"several images are called {name}; call the mask of this one {image_id}.png"
            )
        return name

    def _stems(self, images: ListedSet) -> Counter[str]:
        """How many images have a file of that name."""
        return Counter(Path(file).stem for file in images.files)

    def _inside(self, path: Path) -> Path:
        return inside(self.path, path.name)


def _sizes(images: ImageSet, index: int) -> list[tuple[int, int]]:
    """(width, height) that the mask of an image may have."""
    height, width = images.size
    seen = [(width, height)]
    if not isinstance(images, ListedSet):
        return seen
    native = picture_size(images.path(index), images.upright)
    return seen if native in seen else [native, *seen]


def _marked(picture: Image.Image) -> Image.Image:
    """White where any channel of an opaque pixel is above 0, else black; of mode L."""
    deep = picture.mode in ("I", "I;16", "I;16B", "F")  # would be cut to 8 bits
    colours = np.atleast_3d(np.asarray(picture if deep else picture.convert("RGBA")))
    marked = colours[..., :3].max(axis=2) > 0
    if not deep:
        marked &= colours[..., 3] > 0
    return Image.fromarray(marked.astype(np.uint8) * 255)
