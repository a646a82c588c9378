"""Parquet files inside a run folder, read without trusting what they say of their size.

A few kilobytes of Parquet can hold a billion equal values, or one long text for each of a million
rows. Sizes are looked at before values are made of them; texts are read as dictionaries, so that an
equal text is there once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from vcebench.folders import inside

MOST_ROWS = 2_000_000
_MOST_VALUES = 1 << 28
_MOST_BYTES = 1 << 30


def read_table(root: Path, name: str) -> pa.Table:
    """A Parquet file inside a run folder; texts come as dictionaries, metadata as they are.

    Raises:
        UserError: see `inside.opened`.
        OSError, ValueError, pa.ArrowException: it is missing, damaged, or larger than any run's.
    """
    with inside.opened(root, name) as file:
        metadata = pq.ParquetFile(file).metadata
        texts = [path for path, kind in _columns(metadata) if kind == "BYTE_ARRAY"]
        table = pq.ParquetFile(file, read_dictionary=texts).read()
    for column in table.columns:
        _check_texts(column)
    return table


def read_metadata(root: Path, name: str) -> dict[bytes, bytes]:
    """What the metadata of a Parquet file inside a run folder say, without its rows; see above."""
    with inside.opened(root, name) as file:
        found: dict[bytes, bytes] = pq.ParquetFile(file).metadata.metadata or {}
    return found


def _columns(metadata: pq.FileMetaData) -> list[tuple[str, str]]:
    """Path and storage of every column; raises ValueError if there is too much in them."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
    values = sum(chunk.num_values for chunk in chunks)
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if metadata.num_rows > MOST_ROWS or values > _MOST_VALUES or size > _MOST_BYTES:
        raise ValueError(
            f"it says it holds {metadata.num_rows:,} rows in {size >> 20:,} MiB, more than any run"
        )
    schema = metadata.schema
    columns = (schema.column(number) for number in range(len(schema)))
    return [(column.path, column.physical_type) for column in columns]


def _check_texts(column: pa.ChunkedArray) -> None:
    """Raise ValueError if the texts of a column, written out, would not fit into memory."""
    for array in (part for chunk in column.chunks for part in _dictionaries(chunk)):
        longest = pc.max(pc.binary_length(array.dictionary)).as_py() or 0
        if longest * len(array) > _MOST_BYTES:
            raise ValueError(f"it holds a text of {longest:,} bytes in {len(array):,} rows")


def _dictionaries(array: pa.Array) -> Iterator[pa.DictionaryArray]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        yield array
    elif pa.types.is_map(kind):
        yield from _dictionaries(array.keys)
        yield from _dictionaries(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _dictionaries(array.values)
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _dictionaries(array.field(number))
