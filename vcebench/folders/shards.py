"""Shards: the Parquet files with a run's rows, one a batch; a finished run has a single one.

A copy of that single one lies beside it, so that one damaged file never costs the rows of a whole
run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from vcebench.folders import inside
from vcebench.folders.digests import belonging
from vcebench.folders.rows import Row, to_table
from vcebench.folders.runfolder import SHARDS, DamagedFileError, RunFolder

_COPY = ".copy"
_ONLY = "00000"


def names(folder: RunFolder) -> list[str]:
    """File names of the shards, in order, also of those of which only the copy is left."""
    found = {path.name for path in folder.shards()}
    if inside.exists(folder.path, f"{SHARDS}/{_ONLY}{_COPY}"):
        found.add(f"{_ONLY}.parquet")
    return sorted(found, key=lambda name: int(Path(name).stem))


def write(path: Path, number: int, rows: Sequence[Row], manifest: Mapping[str, Any]) -> None:
    """Write a shard into the run folder at `path`; afterwards it is there for good."""
    inside.write_lasting(path, f"{SHARDS}/{number:05d}.parquet", _content(rows, manifest))


def join(folder: RunFolder, rows: Sequence[Row], manifest: Mapping[str, Any]) -> None:
    """Put all rows of a run into one shard with its copy, and remove the others.

    A process killed in between leaves rows in several shards, and the same ones in each.
    """
    only, copy = f"{_ONLY}.parquet", f"{SHARDS}/{_ONLY}{_COPY}"
    shards = [path.name for path in folder.shards()]
    if not rows or (shards == [only] and inside.exists(folder.path, copy)):
        return
    content = _content(sorted(rows, key=lambda row: row.index), manifest)
    inside.write_lasting(folder.path, copy, content)
    inside.write_lasting(folder.path, f"{SHARDS}/{only}", content)
    for shard in shards:
        if shard != only:
            inside.remove(folder.path, f"{SHARDS}/{shard}")


def put_back(folder: RunFolder, shard: str) -> list[Row]:
    """The rows of a lost or damaged shard after its copy was put in its place.

    Raises DamagedFileError if there is no copy, or it is damaged too.
    """
    name = f"{SHARDS}/{shard}"
    try:
        content = inside.read(folder.path, f"{SHARDS}/{Path(shard).stem}{_COPY}")
    except FileNotFoundError as error:
        raise DamagedFileError(folder.path, name, "has no copy") from error
    inside.write_lasting(folder.path, name, content)
    return folder.rows_of(shard)


def _content(rows: Sequence[Row], manifest: Mapping[str, Any]) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(to_table(rows, belonging(manifest)), buffer)
    content: bytes = buffer.getvalue().to_pybytes()
    return content
