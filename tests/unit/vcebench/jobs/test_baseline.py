"""Comparing metric rows with pins."""

import pytest

from vcebench.errors import UserError
from vcebench.jobs.baseline import CONDITIONS, deviations, pinned, tolerance

CONDITION = CONDITIONS[0]
STORED = {
    "metrics": {
        "fr": {"value": 100.0, "tolerance": 6.25},
        "fid": {"value": 2.0, "tolerance": 0.1},
        "fva": {"value": None, "tolerance": 0.01},
    }
}


def test_equal_rows_pass():
    assert not list(deviations(CONDITION, {"fr": 100.0, "fid": 2.05, "fva": None}, STORED))


@pytest.mark.parametrize(
    ("measured", "metric"),
    [
        ({"fr": 87.5, "fid": 2.0, "fva": None}, "fr"),
        ({"fr": 100.0, "fid": None, "fva": None}, "fid"),
        ({"fr": 100.0, "fid": 2.0, "fva": 90.0}, "fva"),
        ({"fr": 100.0, "fid": 2.0, "fva": None, "new": 1.0}, "new"),
    ],
)
def test_a_row_that_moved_vanished_or_appeared_is_reported(measured, metric):
    (found,) = deviations(CONDITION, measured, STORED)
    assert found.metric == metric
    assert metric in str(found)


def test_tolerance_of_a_share_is_one_image():
    assert tolerance("fr", 10.0) == 100 / 16
    assert tolerance("fid", 100.0) == 10.0


def test_a_missing_file_says_how_to_write_it(tmp_path):
    with pytest.raises(UserError, match="vcebench baseline update"):
        pinned(CONDITION, tmp_path)
