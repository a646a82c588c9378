"""Rows of today and of before."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest

from vcebench.folders.rows import Row, from_table, to_table

ROW = Row(
    id="a",
    index=0,
    status="ok",
    label=1,
    prediction=1,
    source=1,
    target=0,
    correct=True,
    flipped=True,
    flipped_float=True,
    top1=True,
    lambda_class=8.0,
    tries=1,
    nfe=60,
    seconds=0.5,
    margin_input=-1.0,
    margin=2.0,
    target_probability_input=0.2,
    target_probability=0.9,
)
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
