"""Seals on what this user's own programs computed and left in a run folder.

A run folder may be exchanged, and what lies in it may have been written by anybody. A seal is an
HMAC with a key that never leaves the user's cache folder (FIPS 198-1): content that carries it was
computed by this user, on a machine that shares the cache, and was not changed since. Content of
others has no seal that fits, and is as if it were not there. Losing the key costs computing anew.
"""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from vcebench.data.index import cache_root

_BYTES = 32
_SHA = "sha256"


def sealed(name: str, content: bytes) -> bytes | None:
    """Content with its seal before it, as what `name` says; None where there can be no key."""
    key = _key()
    return None if key is None else _seal(key, name, content) + content


def unsealed(name: str, content: bytes) -> bytes | None:
    """What was sealed under that name; None if this user did not seal it, or it was changed."""
    key = _key()
    if key is None:
        return None
    seal, inner = content[:_BYTES], content[_BYTES:]
    return inner if hmac.compare_digest(seal, _seal(key, name, inner)) else None


def key_file() -> Path:
    """Where the key lies: $XDG_CACHE_HOME/vcebench/evaluations.key (~/.cache without it)."""
    return cache_root() / "evaluations.key"


def _seal(key: bytes, name: str, content: bytes) -> bytes:
    made = hmac.new(key, name.encode() + b"\n", _SHA)
    made.update(content)
    return made.digest()


def _key() -> bytes | None:
    """The user's key, made at the first call; None where the cache folder cannot be used."""
    path = key_file()
    with suppress(OSError):
        if not path.exists():
            _make(path)
        key = path.read_bytes()
        if len(key) == _BYTES:
            return key
    return None


def _make(path: Path) -> None:
    """Write a new key that only its user can read; one that another process made first stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)
