"""Comparing two runs: what cannot be compared."""

from __future__ import annotations

import pytest

from vcebench.errors import UserError
from vcebench.jobs.compare import compare


def test_runs_of_different_tasks_are_not_compared(tmp_path, fake_run):
    a, b = fake_run(tmp_path / "a"), fake_run(tmp_path / "b", task="4-9")
    with pytest.raises(UserError, match="digits 3-8 test and digits 4-9 test"):
        compare(a, b)


def test_a_folder_that_is_no_run_is_named(tmp_path, fake_run):
    with pytest.raises(UserError, match="not a run folder"):
        compare(fake_run(tmp_path / "a"), tmp_path)
