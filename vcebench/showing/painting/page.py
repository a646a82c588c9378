"""One HTML file with images inside, a brush, and mask files to download; no network, no server."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup
from PIL import Image, ImageOps

from vcebench.errors import UserError
from vcebench.folders import inside
from vcebench.showing.report.html import environment
from vcebench.version import __version__

_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_LARGEST = 64 << 20
_LOSSLESS = 512
"""Longest side of images that are shown pixel by pixel; larger ones are photographs."""


@dataclass(frozen=True)
class Picture:
    """An image on the page: its name (that of its mask), its size, and itself as a data URL."""

    name: str
    width: int
    height: int
    source: str


def painting_page(paths: Sequence[Path]) -> str:
    """The page for these images.

    Args:
        paths: image files, and folders whose image files are taken.

    A folder may be a stranger's, as that of a run's inputs: no link out of it is followed.

    Raises:
        UserError: there is no image, one cannot be read, is a link in a folder, or two have the
            same name.
    """
    pictures = [_picture(path, found) for path, found in _images(paths)]
    names = [picture.name for picture in pictures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"several images are called {twice[0]}, and a mask has the name of its image; "
            "paint them on pages of their own"
        )
    static = files("vcebench.showing.painting") / "static"
    style, script = ((static / name).read_text() for name in ("paint.css", "paint.js"))
    return (
        environment("vcebench.showing.painting")
        .get_template("page.html.j2")
        .render(
            pictures=[vars(picture) for picture in pictures],
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            version=__version__,
        )
    )


def _images(paths: Iterable[Path]) -> list[tuple[Path, bool]]:
    """The images, and whether each was found in a folder."""
    found: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir():
            held = sorted(p for p in path.iterdir() if p.suffix.lower() in _ENDINGS)
            if not held:
                raise UserError(f"{path} holds no image; name image files, or a folder of them")
            found += [(one, True) for one in held]
        else:
            found.append((path, False))
    if not found:
        raise UserError("name the images to paint on, or a folder of them")
    return found


def _picture(path: Path, found: bool) -> Picture:
    try:
        stored = inside.read(path.parent, path.name, _LARGEST) if found else path.read_bytes()
        # Some of Pillow's other decoders start programs.
        with Image.open(io.BytesIO(stored), formats=_FORMATS) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except FileNotFoundError as error:
        raise UserError(f"there is no image {path}; check the path") from error
    except UserError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as an image; leave it out") from error
    kind = "PNG" if max(image.size) <= _LOSSLESS else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=90)
    content = base64.b64encode(buffer.getvalue()).decode()
    source = f"data:image/{kind.lower()};base64,{content}"
    return Picture(path.stem, image.width, image.height, source)


def _hash(text: str) -> str:
    """How a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
