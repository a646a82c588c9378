"""Sweeps: what a table needs, what exists, in which order, and what is exported."""

from __future__ import annotations

import os

import pytest

from vcebench.errors import StoppedError, UserError
from vcebench.jobs import sweep as sweep_module
from vcebench.jobs.plan import Planned, commands_that_fill, existing, missing, plan, table_on
from vcebench.jobs.sweep import evaluate_first, export, exported, sweep
from vcebench.results.measurements import read_csv, stored_runs


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_plan_begins_with_the_most_valuable_rows():
    methods = [wanted.method for wanted in plan("1", "digits")][:3]
    assert methods == ["maskdime", "fastdime", "dime"]


def test_slow_methods_stop_early_on_embedded_sets():
    limits = {wanted.method: wanted.limit for wanted in plan("4", "digits", 64)}
    assert (limits["maskdime"], limits["dime"]) == (64, 32)


def test_a_plan_asks_for_no_more_images_than_there_are():
    assert plan("4", "digits", 10_000)[0].limit == 100


def test_efficiency_has_its_batch_and_a_second_tau():
    runs = plan("7", "digits")
    assert {wanted.batch_size for wanted in runs} == {5}
    assert [w.method for w in runs if w.tau == 30] == ["maskdime", "fastdime", "dime"]
    assert runs[0].limit == 20


def test_published_sets_take_all_images():
    assert plan("1", "celeba")[0].command == (
        "vcebench run --method maskdime --dataset celeba --task smile --limit 0"
    )


def test_diversity_has_five_seeds():
    assert {wanted.seeds for wanted in plan("diversity", "digits")} == {5}


def test_diversity_is_asked_of_all_that_draw_where_their_networks_ship():
    asked = {d: [one.method for one in plan("diversity", d)] for d in ("digits", "synthroads")}
    assert {"ldce-cls", "dive", "rcsb-c"} <= set(asked["digits"])
    assert "ldce-txt" not in asked["digits"]
    assert not {"ldce-cls", "dive"} & set(asked["synthroads"])
    assert asked["digits"][-1] == "dime"  # it takes longest
    paper = [one.method for one in plan("diversity", "celeba")]
    assert paper == ["maskdime", "fastdime", "no-mask-s8", "dime"]


def test_a_table_that_is_not_about_the_data_set_is_an_error():
    with pytest.raises(UserError, match="is about imagenet"):
        plan("3", "celeba")


def test_a_misspelt_data_set_is_an_error_with_the_nearest_name():
    with pytest.raises(UserError, match=r"did you mean .*celeba"):
        plan("1", "celebb")


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"limit": 2}, True),
        ({"limit": 5}, False),
        ({"method": "fastdime"}, False),
        ({"task": "4-9"}, False),
        ({"tau": 30}, False),
        ({"batch_size": 5}, False),
        ({"batch_size": 16}, True),
        ({"seeds": 5}, False),
    ],
)
def test_what_exists_is_what_holds_the_images_asked_for(tmp_path, fake_run, changes, there):
    fake_run(tmp_path / "run", images=4)
    wanted = {"method": "maskdime", "dataset": "digits", "task": "3-8", "limit": 4, **changes}
    assert (existing(Planned(**wanted), stored_runs(tmp_path)[0]) is not None) is there


def test_runs_with_other_settings_do_not_count(tmp_path, fake_run):
    fake_run(tmp_path / "run", settings={"rho": 0.25})
    wanted = Planned("maskdime", "digits", "3-8", 4)
    assert existing(wanted, stored_runs(tmp_path)[0]) is None


def test_a_sweep_runs_only_what_is_missing(tmp_path, fake_run, said):
    fake_run(tmp_path / "run")
    planned = [Planned(method, "digits", "3-8", 4) for method in ("maskdime", "fastdime")]
    ran: list[list[str]] = []
    outcomes = sweep(planned, tmp_path, 1, said.append, lambda words: ran.append([*words]) or 0)
    assert [one.state for one in outcomes] == ["there", "done"]
    assert [words[2] for words in ran] == ["fastdime"]
    assert said == [
        "run 2 of 2: vcebench run --method fastdime --dataset digits --task 3-8 --limit 4"
    ]


def test_a_failed_run_does_not_stop_the_others(tmp_path, said):
    planned = [Planned(method, "digits", "3-8", 4) for method in ("maskdime", "fastdime")]
    codes = iter((2, 0))
    outcomes = sweep(planned, tmp_path, None, said.append, lambda words: next(codes))
    assert [one.state for one in outcomes] == ["failed", "done"]


def test_an_interrupted_sweep_says_how_to_continue(tmp_path, said):
    planned = [Planned("maskdime", "digits", "3-8", 4)]
    with pytest.raises(StoppedError, match="the same command continues"):
        sweep(planned, tmp_path, None, said.append, lambda words: 130)


def test_a_table_knows_the_commands_that_would_fill_it(tmp_path, fake_run):
    for number, wanted in enumerate(plan("5", "digits", 4)):
        if wanted.method != "maskdime-rho1":
            fake_run(tmp_path / str(number), wanted.method)
    assert commands_that_fill(table_on("5", "digits"), "digits", tmp_path, 4) == [
        "vcebench sweep --table 5 --dataset digits",
        "vcebench run --method maskdime-rho1 --dataset digits --task 3-8 --limit 4",
    ]


def test_a_row_that_is_committed_need_not_be_filled(tmp_path, measure):
    def commands(*rows):
        return commands_that_fill(
            table_on("5", "synthfaces"), "synthfaces", tmp_path, 64, measured=rows
        )

    planned = [wanted.method for wanted in plan("5", "synthfaces", 64)]
    enough = [measure("nfe_per_try", 60.0, method=m, images=64) for m in planned]
    assert commands(*enough) == []
    few = measure("nfe_per_try", 60.0, method="maskdime-rho1", images=32)
    other = measure("time", 1.0, method="maskdime-rho1", images=64)
    (_, command) = commands(*(row for row in enough if row.method != "maskdime-rho1"), few, other)
    assert "--method maskdime-rho1 " in command


def test_nothing_is_missing_once_all_is_there(tmp_path, fake_run):
    planned = plan("5", "digits", 4)
    for wanted in planned:
        fake_run(tmp_path / wanted.method, wanted.method)
    assert missing(planned, stored_runs(tmp_path)[0]) == []


def test_export_writes_the_tables_rows_in_order(tmp_path, fake_run):
    runs, folder = tmp_path / "runs", tmp_path / "committed"
    for method in ("fixed-mask", "maskdime"):
        fake_run(runs / method, method, {"fid": 1.0, "fr": 100.0, "time": 3.0})
    path = export("4", "digits", runs, folder)
    rows = read_csv(path)
    assert path.name == "digits-table4.csv"
    assert [(r.method, r.metric) for r in rows if r.metric != "nfe_per_try"] == [
        *(("maskdime", metric) for metric in ("fid", "fr", "nfe")),
        *(("fixed-mask", metric) for metric in ("fid", "fr", "nfe")),
    ]


def test_an_export_keeps_rows_whose_runs_are_gone(tmp_path, fake_run):
    runs, folder = tmp_path / "runs", tmp_path / "committed"
    fake_run(runs / "a")
    export("4", "digits", runs, folder)
    (runs / "a" / "metrics.json").unlink()
    fake_run(runs / "b", "fixed-mask")
    methods = {row.method for row in read_csv(export("4", "digits", runs, folder))}
    assert methods == {"maskdime", "fixed-mask"}


def test_an_export_of_nothing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="nothing is measured"):
        export("4", "digits", tmp_path, tmp_path)


def test_diversity_exports_only_sigma_l(measure):
    rows = [measure("sigma_l", 0.1), measure("sigma_l", None), measure("fid", 1.0)]
    assert [row.metric for row in exported(rows, "diversity", "synthfaces")] == ["sigma_l"]


def test_diversity_stands_in_the_order_of_its_plan_and_keeps_what_was_not_asked_for(measure):
    methods = ("rcsb-freeform-10-20", "dvce", "rcsb-c", "maskdime")
    rows = [measure("sigma_l", 0.1, method=method) for method in methods]
    found = [row.method for row in exported(rows, "diversity", "synthfaces")]
    assert found == ["maskdime", "rcsb-c", "dvce", "rcsb-freeform-10-20"]


def test_other_rows_are_also_evaluated_where_the_slow_ones_stopped(tmp_path, fake_run, monkeypatch):
    asked: list[tuple[str, int]] = []

    def evaluate(folder, images, name, threads, data_root):
        asked.append((folder.name, images))
        (folder / name).write_text("{}")
        return folder / name

    monkeypatch.setattr(sweep_module, "_evaluate", evaluate)
    fake_run(tmp_path / "ours", images=6)
    fake_run(tmp_path / "dime", "dime", images=4)
    planned = [Planned("maskdime", "digits", "3-8", 6), Planned("dime", "digits", "3-8", 4)]
    stored, _ = stored_runs(tmp_path)
    assert len(evaluate_first(stored, planned, None)) == 1
    assert evaluate_first(stored, planned, None) == []  # nothing has changed since
    os.utime(tmp_path / "ours" / "metrics.json", (2**33, 2**33))
    assert len(evaluate_first(stored, planned, None)) == 1
    assert asked == [("ours", 4)] * 2
