"""What is said on the command line, read in one way."""

from __future__ import annotations

import pytest

from vcebench.commands.options import duration
from vcebench.errors import UserError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5H", 1800),
        ("1m30s", 90),
        (" 45s ", 45),
    ],
)
def test_a_time_is_hours_minutes_and_seconds(text, seconds):
    assert duration(text, "--budget") == seconds


@pytest.mark.parametrize(
    "text", ["", "two hours", "2", "-1h", "1m2h", "0m", "1.2.3h", ".h", "nanh", "9" * 400 + "h"]
)
def test_any_other_time_is_one_sentence(text):
    with pytest.raises(UserError, match=r"--budget is .*; write a time such as 90s, 20m"):
        duration(text, "--budget")
