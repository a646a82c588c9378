"""What a data set's lists say, kept so that the long ones are parsed only once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

VERSION = 1


def cached_index(
    name: str, sources: Sequence[Path], build: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    """The table that `build` makes from some files, from the cache if these are unchanged.

    The cache lies in $XDG_CACHE_HOME/vcebench/index (~/.cache without it). It is a convenience:
    where it cannot be read or written, the table is built.

    Args:
        name: what the table is of.
        sources: files it depends on; size and time of change tell another version.
        build: makes the table; its errors are passed on.
    """
    path = cache_folder() / f"{name}-{_key(sources)}.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        table = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".index")
        os.close(handle)
        table.to_parquet(temporary)
        os.replace(temporary, path)
    except OSError:
        pass  # a folder that cannot be written costs a second at the next start, no more
    return table


def cache_folder() -> Path:
    """Where tables are kept."""
    return cache_root() / "index"


def cache_root() -> Path:
    """What the package keeps of its user's: $XDG_CACHE_HOME/vcebench, ~/.cache without it."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "vcebench"


def _key(sources: Sequence[Path]) -> str:
    parts = [f"version {VERSION}"]
    for source in sources:
        status = source.stat()
        parts.append(f"{source.resolve()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
