"""What of a run's files is missing, damaged, or another one than its row was stored with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vcebench.folders import shards
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import DamagedFileError, RunFolder


@dataclass(frozen=True)
class Damage:
    """A file that is not what it should be; `row` is None for a shard of rows."""

    error: DamagedFileError
    row: Row | None = None


def damages(folder: RunFolder) -> Iterator[Damage]:
    """Everything damaged in a run folder: shards of rows, then files in the order of the images.

    Raises UserError for what no `vcebench run` makes again: a manifest that cannot be read, rows of
    another run, a link.
    """
    rows: dict[str, Row] = {}
    for shard in shards.names(folder):
        try:
            rows.update((row.id, row) for row in folder.rows_of(shard))
        except DamagedFileError as error:
            yield Damage(error)
    yield from damaged_files(folder, sorted(rows.values(), key=lambda row: row.index))


def damaged_files(folder: RunFolder, rows: Iterable[Row]) -> Iterator[Damage]:
    """Files of some images that are damaged.

    Rows of versions that stored no digests tell of files that are missing or cannot be decoded,
    not of those that were exchanged.
    """
    for row in rows:
        for name in folder.files(row):
            kind = name.partition("/")[0]
            try:
                _look(folder, kind, row)
            except DamagedFileError as error:
                yield Damage(error, row)


def _look(folder: RunFolder, kind: str, row: Row) -> None:
    """Read a file; raises DamagedFileError. What has its digest needs no decoding."""
    if row.files_sha256 is not None:
        folder.content(kind, row)
    elif kind == "masks":
        folder.masks(row)
    elif kind == "trace":
        folder.trace(row)
    else:
        folder.image(kind, row)
