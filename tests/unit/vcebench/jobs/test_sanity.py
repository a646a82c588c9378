"""The sanity check on stored runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.jobs.plan import Planned
from vcebench.jobs.sanity import compare, comparisons, measurements, rows_of, sanity_plan
from vcebench.jobs.sweep import output_of
from vcebench.results.measurements import stored_runs

PLAN = sanity_plan("pgd", images=3)


@pytest.fixture
def write(tmp_path, fake_run):
    """Write a planned run whose counterfactuals add these numbers to the four pixels of 100."""

    def write(wanted: Planned, edits, rows=None) -> Path:
        path = fake_run(
            output_of(wanted, tmp_path),
            wanted.method,
            images=len(edits),
            rows=rows,
            dataset=wanted.dataset,
            task=wanted.task,
            classifier=wanted.classifier,
            guidance={"lambda_class": wanted.rungs},
        )
        for index, edit in enumerate(edits):
            x = np.full((2, 2, 3), 100, dtype=np.uint8)
            x_cf = (x + np.array(edit).reshape(2, 2, 1)).astype(np.uint8)
            for kind, image in (("inputs", x), ("counterfactuals", x_cf)):
                (path / kind).mkdir(exist_ok=True)
                Image.fromarray(image).save(path / kind / f"fake-{index:05d}.png")
        return path

    return write


EDITS = [[40, 0, 10, 5]] * 3


def test_equal_counterfactuals_expose_a_method(tmp_path, write):
    for wanted in PLAN:
        write(wanted, EDITS)
    found = comparisons(PLAN, stored_runs(tmp_path)[0])
    assert [one.classifier for one in found] == ["random", "permuted"]
    for one in found:
        assert (one.difference.value, one.difference.n) == (0, 3)
        assert one.rank_correlation.value == pytest.approx(1)


def test_edits_elsewhere_differ_in_all(tmp_path, write):
    write(PLAN[0], [[40, 0, 0, 0]] * 3)
    write(PLAN[2], [[0, 40, 0, 0]] * 3)
    (found,) = comparisons(PLAN, stored_runs(tmp_path)[0])
    assert found.metric == "sanity_permuted"
    assert found.difference.value == 1
    assert found.difference.interval == (1, 1)
    assert found.rank_correlation.value < 0


def test_without_the_run_of_the_own_classifier_there_is_nothing_to_compare(tmp_path, write):
    write(PLAN[1], EDITS)
    assert comparisons(PLAN, stored_runs(tmp_path)[0]) == []
    assert measurements(PLAN, stored_runs(tmp_path)[0]) == []


def test_images_asked_for_other_classes_are_not_compared(write):
    own = write(PLAN[0], EDITS)
    other = write(PLAN[1], EDITS, [{}, {"target": 3}, {"status": "non-finite"}])
    assert compare(RunFolder(own), RunFolder(other)).difference.n == 1


def test_runs_that_share_no_image_have_no_value(write):
    own = write(PLAN[0], EDITS)
    other = write(PLAN[1], EDITS, [{"target": 3}] * 3)
    found = compare(RunFolder(own), RunFolder(other))
    assert found.difference.value is None
    assert rows_of([found])[0]["n"] == 0


def test_figures_are_rows_like_those_of_a_run(tmp_path, write):
    for wanted, edit in zip(PLAN, (40, 20, 0), strict=True):
        write(wanted, [[edit, 1, 0, 0]] * 3)
    rows = measurements(PLAN, stored_runs(tmp_path)[0])
    assert [row.metric for row in rows] == ["sanity_random", "sanity_permuted"]
    assert rows[0].value == pytest.approx(20 / 62)
    assert rows[1].value == pytest.approx(40 / 42)
    assert {(row.task, row.method, row.images, row.n) for row in rows} == {("smile", "pgd", 3, 3)}


def test_a_task_without_ignorant_classifiers_is_an_error():
    with pytest.raises(UserError, match="digits 3-8; there is on synthfaces smile"):
        sanity_plan("pgd", "digits", "3-8")
