"""Rows of today and of before."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest
from made_up import made_up_row

from vcebench.folders.rows import Row, from_table, to_table

ROW = made_up_row()
LATER = {"backward": 3, "input_sha256": "5f", "files_sha256": {"inputs": "00", "masks": "a1"}}


@pytest.mark.parametrize("row", [ROW, dataclasses.replace(ROW, **LATER)])
def test_rows_come_back_as_they_were(row: Row) -> None:
    assert from_table(to_table([row])) == [row]


def test_columns_that_came_later_are_none_in_old_rows() -> None:
    old = to_table([dataclasses.replace(ROW, **LATER)]).drop_columns(list(LATER))
    assert from_table(old) == [ROW]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="columns target are missing"):
        from_table(pa.table(to_table([ROW])).drop_columns(["target"]))
