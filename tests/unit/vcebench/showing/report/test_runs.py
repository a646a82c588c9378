"""Runs side by side: labels, tables, shared images."""

import pytest

from vcebench.errors import UserError
from vcebench.showing.report.runs import (
    Subject,
    class_name,
    class_names,
    items_of,
    read_runs,
    subjects,
)


def test_runs_of_different_methods_are_called_by_their_method(fixture_run):
    runs = read_runs([fixture_run(m, ids=2).path for m in ("maskdime", "dime")])
    assert [run.label for run in runs] == ["maskdime", "dime"]


def test_runs_of_one_method_are_told_apart_by_what_differs(fixture_run):
    runs = read_runs([fixture_run(ids=2, seed=seed).path for seed in (0, 1)])
    assert [run.label for run in runs] == ["maskdime · seed 0", "maskdime · seed 1"]


def test_equal_runs_are_told_apart_by_number(fixture_run):
    runs = read_runs([fixture_run(ids=2).path for _ in range(2)])
    assert [run.label for run in runs] == ["maskdime · run 1", "maskdime · run 2"]


def test_runs_of_different_protocols_share_no_table(fixture_run):
    runs = read_runs([fixture_run(ids=2).path, fixture_run(ids=2, protocol="other/2").path])
    assert len(subjects(runs)) == 2


def test_an_image_has_the_results_of_all_runs_that_explained_it(fixture_run):
    runs = read_runs([fixture_run("maskdime", ids=3).path, fixture_run("dime", ids=2).path])
    assert [len(item.results) for item in items_of(runs)] == [2, 2, 1]


def test_images_are_numbered_in_the_order_of_the_data_set(fixture_run):
    items = items_of(read_runs([fixture_run(ids=["b", "a"]).path]))
    assert [(item.number, item.id) for item in items] == [(1, "b"), (2, "a")]


def test_a_limit_counts_per_task(fixture_run):
    assert len(items_of(read_runs([fixture_run(ids=3).path]), limit=2)) == 2


def test_what_a_data_set_calls_an_image_names_no_file(fixture_run):
    (item,) = items_of(read_runs([fixture_run(ids=["<b>&'"]).path]))
    assert item.name == "00001"


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        read_runs([tmp_path])


def test_the_same_run_twice_is_refused(fixture_run):
    path = fixture_run(ids=2).path
    with pytest.raises(UserError, match="given twice"):
        read_runs([path, path])


def test_an_empty_run_is_refused(fixture_run):
    with pytest.raises(UserError, match="no finished image"):
        read_runs([fixture_run(ids=0, evaluated=False).path])


def test_no_run_is_refused():
    with pytest.raises(UserError, match="at least one"):
        read_runs([])


def test_classes_have_the_names_of_the_registry():
    names = class_names(Subject("digits", "3-8", "test", "p"))
    assert class_name(names, 3) == "3"


def test_classes_of_an_unknown_data_set_have_numbers():
    names = class_names(Subject("elsewhere", "3-8", "test", "p"))
    assert class_name(names, 3) == "class 3"
