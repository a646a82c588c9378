"""vcebench truth: which runs it needs, what it gathers, and rank correlations by hand."""

from __future__ import annotations

import pytest
from scipy.stats import spearmanr

from vcebench.errors import UserError
from vcebench.jobs.plan import existing
from vcebench.jobs.sweep import output_of
from vcebench.jobs.truth import METHODS, SLOW_TASKS, beside, export, gather, tasks_of, truth_plan
from vcebench.jobs.truthsheet import correlation_maps, write_pictures
from vcebench.jobs.truthtable import agreement_table, agreements, cell, table
from vcebench.results.measurements import read_csv, stored_runs, to_csv

TASKS = (
    "smile",
    "smile-shortcut-hat",
    "smile-shortcut-patch",
    "smile-shortcut-eyeglasses",
    "smile-mixture-eyeglasses",
)


def test_tasks_are_the_default_one_and_those_with_a_planted_shortcut():
    assert tasks_of("synthfaces") == TASKS


def test_a_data_set_without_truth_is_an_error():
    with pytest.raises(UserError, match="true counterfactuals of digits are not known"):
        truth_plan("digits")


def test_every_method_runs_on_every_task_slow_ones_on_two_and_32_images():
    runs = [(w.method, w.task, w.limit) for w in truth_plan("synthfaces") if w.rungs is None]
    fast = [method for method in METHODS if method != "dime"]
    assert set(runs) == {(m, t, 128) for m in fast for t in TASKS} | {
        ("dime", task, 32) for task in SLOW_TASKS
    }
    assert len(runs) == len(set(runs))
    assert [task for _, task, _ in runs[:7]] == ["smile"] * 7


def test_the_sanity_check_has_three_runs_of_one_try_for_all_but_slow_methods():
    runs = [w for w in truth_plan("synthfaces") if w.rungs is not None]
    assert {w.rungs for w in runs} == {(8.0,)}
    assert {w.limit for w in runs} == {32}
    assert [w.classifier for w in runs[:3]] == ["task", "random", "permuted"]
    assert len(runs) == 3 * 7
    assert "dime" not in {w.method for w in runs}
    assert runs[1].command == (
        "vcebench run --method maskdime --dataset synthfaces --task smile --limit 32 "
        "--lambda-class 8 --classifier random"
    )


def test_a_limit_bounds_every_run():
    assert {w.limit for w in truth_plan("synthfaces", 8)} == {8}


def test_planned_runs_of_the_sanity_check_are_found_again(tmp_path, fake_run):
    planned = [w for w in truth_plan("synthfaces", 2) if w.method == "pgd" and w.task == "smile"]
    folders = [output_of(wanted, tmp_path) for wanted in planned]
    assert len({folder.name for folder in folders}) == len(planned) == 4
    for number, wanted in enumerate(planned):
        stored = stored_runs(tmp_path)[0]
        assert existing(wanted, stored) is None
        guidance = {} if wanted.rungs is None else {"lambda_class": wanted.rungs}
        fake_run(
            folders[number],
            wanted.method,
            images=2,
            dataset=wanted.dataset,
            task=wanted.task,
            guidance=guidance,
            classifier=wanted.classifier,
        )
        found = existing(wanted, stored_runs(tmp_path)[0])
        assert found is not None
        assert found.path == folders[number]


def test_stored_runs_win_over_the_committed_file(tmp_path, fake_run, measure):
    old = [
        measure("gt_iou", 0.1, images=4),
        measure("gt_iou", 0.2, method="pgd", images=4),
        measure("gt_l1", 0.3, images=4),
    ]
    export(old, "synthfaces", tmp_path / "committed")
    fake_run(
        tmp_path / "runs" / "one",
        metrics={"gt_iou": 0.5, "gt_l1": None},
        dataset="synthfaces",
        task="smile",
    )
    rows = gather("synthfaces", stored_runs(tmp_path / "runs")[0], 4, tmp_path / "committed")
    values = {(row.method, row.metric): row.value for row in rows}
    assert values == {
        ("maskdime", "gt_iou"): 0.5,
        ("maskdime", "gt_l1"): 0.3,
        ("pgd", "gt_iou"): 0.2,
    }
    assert [row.method for row in rows] == ["maskdime", "maskdime", "pgd"]


def test_a_stored_run_replaces_committed_figures_of_other_numbers_of_images(
    tmp_path, fake_run, measure
):
    old = [
        measure("gt_iou", 0.1, images=256),
        measure("mnac", 2.0, images=256),
        measure("sanity_random", 0.75, images=32),
        measure("gt_iou", 0.2, method="pgd", images=256),
    ]
    export(old, "synthfaces", tmp_path / "committed")
    fake_run(tmp_path / "runs" / "one", metrics={"gt_iou": 0.5}, dataset="synthfaces", task="smile")
    rows = gather("synthfaces", stored_runs(tmp_path / "runs")[0], 4, tmp_path / "committed")
    assert {(row.method, row.metric, row.images): row.value for row in rows} == {
        ("maskdime", "gt_iou", 4): 0.5,
        ("maskdime", "sanity_random", 32): 0.75,
        ("pgd", "gt_iou", 256): 0.2,
    }


def test_figures_of_the_papers_tables_fill_what_was_not_run(tmp_path, measure):
    tabulated = [
        measure("gt_iou", 0.1, images=256),
        measure("gt_iou", 0.2, images=32),
        measure("mnac", 2.0, images=256),
        measure("fva", 99.0, images=256),
        measure("gt_iou", 0.3, method="fastdime", images=256),
        measure("gt_iou", 0.4, method="dime", images=32),
        measure("gt_iou", 0.5, method="pgd", images=16),
    ]
    (tmp_path / "synthfaces-table1.csv").write_text(to_csv(tabulated))
    export([measure("gt_iou", 0.6, method="fastdime", images=128)], "synthfaces", tmp_path)
    rows = gather("synthfaces", [], None, tmp_path)
    assert {(row.method, row.metric, row.images): row.value for row in rows} == {
        ("maskdime", "gt_iou", 256): 0.1,
        ("maskdime", "mnac", 256): 2.0,
        ("fastdime", "gt_iou", 128): 0.6,
        ("dime", "gt_iou", 32): 0.4,
    }


def test_an_export_can_be_read_again(tmp_path, measure):
    rows = [measure("gt_iou", 0.25, lo=0.2, hi=0.3), measure("sanity_random", 0.75, images=32)]
    assert read_csv(export(rows, "synthfaces", tmp_path)) == rows
    with pytest.raises(UserError, match="nothing is measured"):
        export([], "synthfaces", tmp_path)


def test_the_table_shows_the_sanity_check_that_a_method_does_worse_in(measure):
    rows = [
        measure("gt_iou", 0.25, lo=0.2, hi=0.3, images=128),
        measure("cue_recall", None, images=128),
        measure("sanity_random", 0.75, images=32),
        measure("sanity_permuted", 0.5, lo=0.25, hi=0.625, images=32),
    ]
    (row,) = table(rows)
    assert row["images"] == "128"
    assert row["GT IoU"] == "0.25 [0.2, 0.3]"
    assert row["Cue recall"] == "–"
    assert row["Sanity"] == "0.5 [0.25, 0.625]"


def test_cells():
    assert cell(None) == "–"


@pytest.fixture
def grid(measure):
    """COUT and gt_l1 of six methods on two tasks; on the second task both are ten times larger."""
    cout = {"maskdime": 0.5, "fastdime": 0.4, "pgd": 0.3, "fixed-mask": 0.2, "no-mask-s8": 0.1}
    gt_l1 = {"maskdime": 0.1, "fastdime": 0.3, "pgd": 0.2, "fixed-mask": 0.4, "no-mask-s8": 0.5}
    return [
        measure(metric, value * factor, method=method, task=task, images=128)
        for task, factor in (("smile", 0.1), ("smile-shortcut-hat", 1.0))
        for metric, values in (("cout", cout), ("gt_l1", gt_l1))
        for method, value in values.items()
    ]


def one(found, published="cout", truth="gt_l1"):
    (agreement,) = [a for a in found if (a.published, a.truth) == (published, truth)]
    return agreement


def test_rank_correlation_is_spearmans_signed_so_that_1_is_agreement(grid):
    smile = [row for row in grid if row.task == "smile"]
    values = {m: [row.value for row in smile if row.metric == m] for m in ("cout", "gt_l1")}
    found = one(agreements(smile))
    assert found.rho == pytest.approx(-spearmanr(values["cout"], values["gt_l1"]).statistic)
    assert found.rho == pytest.approx(0.9)
    assert found.n == 5
    low, high = found.interval
    assert low <= found.rho <= high


def test_tasks_that_differ_for_every_method_count_in_all_pairs_but_not_within_tasks(grid):
    assert one(agreements(grid)).rho < 0  # high COUT and large distance go with the second task
    assert one(agreements(grid, "within tasks")).rho == pytest.approx(0.9)
    assert one(agreements(grid)).n == 10


def test_without_the_attack_its_pairs_are_left_out(grid):
    smile = [row for row in grid if row.task == "smile"]
    found = one(agreements(smile, "without pgd"))
    assert found.n == 4
    assert found.rho == pytest.approx(1)


def test_runs_of_fewer_images_are_not_compared(grid, measure):
    few = [
        measure("cout", 0.9, method="dime", images=32),
        measure("gt_l1", 0.9, method="dime", images=32),
    ]
    assert one(agreements([*grid, *few])).n == 10


def test_a_task_is_compared_on_the_most_images_it_has(grid, measure):
    more = [
        measure(row.metric, row.value, method=row.method, task=row.task, images=256)
        for row in grid
        if row.task == "smile"
    ]
    planted = [row for row in grid if row.task != "smile"]
    assert one(agreements([*more, *planted])).n == 10


def test_few_pairs_have_no_correlation(grid):
    found = one(agreements([row for row in grid if row.method in ("pgd", "maskdime")][:4]))
    assert (found.rho, found.interval) == (None, None)


def test_the_table_of_correlations_has_every_published_metric_in_every_scope(grid):
    rows = agreement_table(grid)
    assert len(rows) == 3 * 7
    assert rows[0]["GT IoU"] == "–"
    (cout,) = [row for row in rows if (row["pairs"], row["metric"]) == ("within tasks", "COUT")]
    assert cout["GT ℓ1"].startswith("+0.90 [")
    assert cout["GT ℓ1"].endswith("n=10")


def test_the_picture_of_correlations_shows_those_of_the_table(grid):
    figure = correlation_maps(grid)
    every, within, without, _ = figure.axes
    assert [axes.get_title() for axes in (every, within, without)] == [
        "all",
        "within tasks",
        "without pgd",
    ]
    (text,) = within.texts
    names = [label.get_text() for label in within.get_xticklabels()]
    published = [label.get_text() for label in every.get_yticklabels()]
    column, row = text.get_position()
    assert (published[row], names[column]) == ("COUT", "GT ℓ1")
    assert text.get_text() == "+0.90"


def test_nothing_to_correlate_draws_nothing(grid, tmp_path):
    assert correlation_maps(grid[:2]) is None
    assert write_pictures("synthfaces", [], grid[:2], tmp_path) == []
    assert write_pictures("synthfaces", [], grid, tmp_path) == [tmp_path / "truth-correlations.png"]


def test_methods_and_tasks_beyond_the_file_stand_in_the_table_alone(tmp_path, fake_run):
    wanted = {"gt_iou": 0.5}
    about = {"dataset": "synthfaces"}
    fake_run(tmp_path / "a", "ace-l1", wanted, **about, task="smile")
    fake_run(tmp_path / "b", "maskdime", wanted, **about, task="age")
    fake_run(tmp_path / "c", "maskdime", wanted, **about, task="smile")
    fake_run(tmp_path / "d", "ace-l1", wanted, **about, task="smile", settings={"iterations": 3})
    stored = stored_runs(tmp_path)[0]
    found = {(f.task, f.method) for f in beside("synthfaces", stored, tmp_path)}
    assert found == {("smile", "ace-l1"), ("age", "maskdime")}
    kept = gather("synthfaces", stored, 4, tmp_path)
    assert {row.method for row in kept} <= set(METHODS)
