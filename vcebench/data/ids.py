"""Names of images that can be file names: readable, no two the same, never too long."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

LONGEST = 200
"""Characters of an id; stored files have up to 17 more, a file name may have 255 bytes."""

_SHOWN = 180


def safe_name(path: str) -> str:
    """A path as one file name: letters, digits, dot, minus and underscore only."""
    return re.sub(r"[^\w.-]+", "_", path, flags=re.ASCII).lstrip(".") or "_"


def ids_of(paths: Sequence[str]) -> list[str]:
    """An id for each of some different paths, in their order.

    It is the path as `safe_name` writes it. Paths that would be called alike, or stored alike as
    pictures, and those that are too long, get a digest of the path before their ending.

    >>> ids_of(["bar/00.png", "bar/a b.png", "bar/a_b.png"])
    ['bar_00.png', 'bar_a_b-bd4a9ae9.png', 'bar_a_b-9aef10d4.png']
    """
    names = [safe_name(path) for path in paths]
    counts = Counter(names)
    counts.update([name for name in counts if {f"{name}.png", f"{name}.jpg"} & counts.keys()])
    digits = 8
    while True:
        found = [
            _with_digest(name, path, digits) if counts[name] > 1 or len(name) > LONGEST else name
            for name, path in zip(names, paths, strict=True)
        ]
        if len(set(found)) == len(set(paths)):
            return found
        digits += 8  # a digest met another digest, or a file that is called like one


def _with_digest(name: str, path: str, digits: int) -> str:
    ending = PurePosixPath(name).suffix[:16]
    stem = name.removesuffix(ending)[: _SHOWN - digits]
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:digits]
    return f"{stem}-{digest}{ending}"
