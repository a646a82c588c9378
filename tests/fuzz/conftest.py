"""How a person's folder looks: a grammar of habits, and what each of them should come to."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vcebench.errors import UserError, user_errors


@contextmanager
def _place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vcebench-fuzz-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def place() -> Callable[[], Any]:
    """place() → a context manager that gives an empty folder."""
    return _place


def _read(reader: Callable[[], Any]) -> Any:
    """What a reader gives, or its refusal, which is one line for people."""
    try:
        with user_errors():  # as the commands do
            return reader()
    except UserError as error:
        message = str(error)
        assert message
        assert "\n" not in message.strip()
        assert "Traceback" not in message
        return error


@pytest.fixture(scope="session")
def read() -> Callable[[Callable[[], Any]], Any]:
    """read(reader) → its result, or the UserError it raised."""
    return _read


@cache
def _content(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    if kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        Image.fromarray(pixels).save(buffer, kind)
    elif kind == "deep":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(buffer, "PNG")
    elif kind == "float":
        Image.fromarray(pixels[..., 0].astype(np.float32)).save(buffer, "TIFF")
    elif kind == "transparent":
        Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(buffer, "PNG")
    elif kind == "cut":
        return _content("PNG")[:60]
    elif kind == "text":
        return b"file,label\n"
    return buffer.getvalue()


@pytest.fixture(scope="session")
def content() -> Callable[[str], bytes]:
    """content("PNG" | "deep" | "cut" | "empty" | …) → bytes of such a file."""
    return _content
