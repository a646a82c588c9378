"""Metric rows of 16 fixed images against results/baseline, within the tolerances stated there."""

from pathlib import Path

import pytest

from vcebench.jobs.baseline import CONDITIONS, deviations, measure, pinned

FOLDER = Path(__file__).parents[2] / "results" / "baseline"


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.method)
def test_metric_row(condition, tmp_path):
    stored = pinned(condition, FOLDER)
    assert not [str(d) for d in deviations(condition, measure(condition, tmp_path), stored)]
