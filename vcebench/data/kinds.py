"""Files of a folder by kind: images, what looks like one and is not read, and clutter.

Nothing is decided by looking inside a file whose ending is known: a damaged image is an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import Image

Kind = Literal["image", "unread", "clutter", "unnamable"]

_FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "IM", "JPEG", "JPEG2000", "MSP", "PCX", "PNG"),
    *("PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM"),
)
"""Formats of still pictures. EPS and WMF are left out: drawing them runs other programs."""

_UNREAD = frozenset(
    (
        *(".ai", ".apng", ".arw", ".avif", ".cr2", ".cr3", ".czi", ".dcm", ".dicom", ".dng"),
        *(".emf", ".eps", ".exr", ".fit", ".fits", ".hdr", ".heic", ".heif", ".hif", ".icns"),
        *(".ico", ".jp2", ".jxl", ".mha", ".mhd", ".ndpi", ".nef", ".nii", ".npy", ".nrrd"),
        *(".orf", ".pdf", ".ps", ".raf", ".raw", ".rw2", ".svg", ".svgz", ".svs", ".webp", ".wmf"),
    )
)
"""Endings that people give images, read or not: some formats are missing in old Pillows."""

_SIGNATURES = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"8BPS", b"DDS ", b"qoif"),
)
_BRANDS = (b"WEBP", b"ftypavif", b"ftypheic", b"ftypmif1")

_CLUTTER = frozenset(
    (
        *("__macosx", "__pycache__", "@eadir", "$recycle.bin", "#recycle", "lost+found"),
        *("system volume information", "thumbs", "thumbnails", "_thumbs", "thumbs.db"),
        *("ehthumbs.db", "desktop.ini", "icon\r"),
    )
)


@dataclass(frozen=True)
class Found:
    """A file that concerns us: its path within the folder with slashes, and its kind."""

    path: str
    kind: Kind

    @property
    def top(self) -> str:
        """The sub-folder it lies in, at the first level; empty for a file of the folder itself."""
        return self.path.partition("/")[0] if "/" in self.path else ""

    @property
    def depth(self) -> int:
        """Number of folders around it."""
        return self.path.count("/")


@cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read, as far as this Pillow has them."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@cache
def endings() -> frozenset[str]:
    """Endings of the files that are read, in lower case, with the dot."""
    known = formats()
    return frozenset(e for e, name in Image.registered_extensions().items() if name in known)


def is_clutter(name: str) -> bool:
    """Whether a file or folder is left behind by an operating system or a tool, by its name."""
    return name.startswith(".") or name.lower() in _CLUTTER


def survey(folder: Path, named: frozenset[str] = frozenset()) -> list[Found]:
    """All files below a folder that are images or might be meant as such, sorted by path.

    Args:
        named: sub-folders that are classes, whatever they are called.
    """
    return sorted(_walk(folder, "", named, ()), key=lambda found: found.path)


def folders(folder: Path) -> list[str]:
    """Names of the sub-folders that are no clutter, sorted."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not is_clutter(e.name))


def _walk(
    folder: Path, prefix: str, named: frozenset[str], above: tuple[str, ...], clutter: bool = False
) -> Iterator[Found]:
    real = os.path.realpath(folder)
    if real in above:  # a link in a circle: its files are seen where it leads
        return
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = f"{prefix}{entry.name}"
        junk = clutter or (is_clutter(entry.name) and path not in named)
        if entry.is_dir():
            inner = folder / entry.name
            yield from _walk(inner, f"{path}/", named, (*above, real), junk)
        elif (kind := _kind(entry, junk)) is not None:
            yield Found(path, kind)


def _kind(entry: os.DirEntry[str], clutter: bool) -> Kind | None:
    ending = os.path.splitext(entry.name)[1].lower()
    if clutter:  # worth a word only where somebody could miss it
        return "clutter" if ending in endings() or ending in _UNREAD else None
    if not _is_utf8(entry.path):
        return "unnamable"
    if not entry.is_file() and not entry.is_symlink():
        return None
    if ending in endings():
        return "image"
    return "unread" if ending in _UNREAD or _looks_like_image(entry.path) else None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _looks_like_image(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":  # reserved in every BMP
        return True
    return head.startswith(_SIGNATURES) or any(brand in head for brand in _BRANDS)
