"""Measured rows: from run folders and from committed files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.results.collection import all_measured, chosen, collect, gather
from vcebench.results.measurements import complexities, read_csv, read_run, stored_runs, to_csv
from vcebench.results.tables.layouts import layout, on_dataset


def on_digits(number: str):
    return on_dataset(layout(number), "digits", ("3-8",))


def test_csv_keeps_every_field(tmp_path, measure):
    rows = [
        measure(value=0.125, lo=0.1, hi=0.15, backbone="a, net"),
        measure("cd", None, note="no flipped image"),
    ]
    path = tmp_path / "rows.csv"
    path.write_text(to_csv(rows))
    assert read_csv(path) == rows


@pytest.mark.parametrize("value", ["nan", "much"])
def test_a_value_that_is_no_number_is_refused_with_its_line(tmp_path, measure, value):
    path = tmp_path / "rows.csv"
    path.write_text(to_csv([measure(value=0.5)]).replace("0.5", value))
    with pytest.raises(UserError, match="line 2"):
        read_csv(path)


def test_other_columns_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="columns are not"):
        read_csv(path)


def test_a_run_folder_gives_its_metrics_and_what_they_are_worth(tmp_path, fake_run):
    run = read_run(fake_run(tmp_path / "run", metrics={"fid": 2.0, "fva": None}))
    figures = {one.metric: one for one in run.figures}
    assert figures["fid"].value == 2.0
    assert figures["fva"].note == "made up for a test"
    assert (figures["fid"].images, figures["fid"].seed) == (4, "0")
    assert figures["fid"].device == "CPU fake, 1 thread"
    assert run.others == ()


def test_evaluations_per_try_do_not_count_retries(tmp_path, fake_run):
    rows = [{"nfe": 180, "tries": 3}, {"nfe": 60, "tries": 1}]
    run = read_run(fake_run(tmp_path / "run", images=2, rows=rows))
    assert run.nfe_per_try == 60


def test_backward_passes_are_those_of_the_images_evaluated(tmp_path, fake_run):
    path = fake_run(tmp_path / "run", images=2, rows=[{"backward": 60}, {"backward": 180}])
    document = json.loads((path / "metrics.json").read_text())
    (path / "metrics-first-1.json").write_text(json.dumps({**document, "images": 1}))
    found = [f for f in read_run(path).figures if f.metric == "backward_per_image"]
    assert {f.images: f.value for f in found} == {1: 60, 2: 120}


def test_evaluations_per_try_that_the_metrics_tell_need_no_rows(tmp_path, fake_run, monkeypatch):
    path = fake_run(tmp_path / "run")
    document = json.loads((path / "metrics.json").read_text())
    told = {**document, "nfe_per_try": 12.5, "backward_per_image": 7.5}
    (path / "metrics.json").write_text(json.dumps(told))
    monkeypatch.delattr(RunFolder, "rows")
    run = read_run(path)
    assert run.nfe_per_try == 12.5
    assert [f.value for f in run.figures if f.metric == "backward_per_image"] == [7.5]
    (path / "shards/00000.parquet").write_bytes(b"")
    assert "cannot be read" in stored_runs(tmp_path)[1][0]


def test_other_settings_than_the_presets_are_noticed(tmp_path, fake_run):
    fake_run(tmp_path / "run", settings={"top_k": 0.3})
    found = collect(["digits"], on_digits("4"), tmp_path, tmp_path)
    assert found.rows == ()
    assert "top_k=0.3 differs from the preset" in found.remarks[0]


def test_a_method_inside_a_region_is_not_the_method(tmp_path, fake_run):
    """Else the truth's own region would lend a table's row its precision."""
    fake_run(tmp_path / "run", region="cells:20")
    found = collect(["digits"], on_digits("4"), tmp_path, tmp_path)
    assert found.rows == ()
    assert "region=cells:20 differs from the preset" in found.remarks[0]


def test_a_region_that_the_id_says_is_the_usual_one(tmp_path, fake_run):
    path = fake_run(tmp_path / "run", method="rcsb-freeform-10-20")
    assert "region" not in " ".join(read_run(path).others)


def test_a_run_without_metrics_is_named(tmp_path, fake_run):
    (fake_run(tmp_path / "run") / "metrics.json").unlink()
    assert "has no metrics" in stored_runs(tmp_path)[1][0]


def test_damaged_metrics_are_named(tmp_path, fake_run):
    (fake_run(tmp_path / "run") / "metrics.json").write_text("{")
    assert "cannot be read" in stored_runs(tmp_path)[1][0]


@pytest.mark.parametrize(("evaluations", "power"), [((60, 30), 1.0), ((1830, 465), 1.98)])
def test_complexity_is_the_power_of_tau(tmp_path, fake_run, evaluations, power):
    many, few = evaluations
    fake_run(tmp_path / "a", "dime", nfe=many)
    fake_run(tmp_path / "b", "dime", nfe=few, settings={"tau": 30})
    (figure,) = complexities(stored_runs(tmp_path)[0])
    assert figure.value == pytest.approx(power, abs=0.01)


def test_one_tau_gives_no_complexity(tmp_path, fake_run):
    fake_run(tmp_path / "a", "dime")
    assert complexities(stored_runs(tmp_path)[0]) == []


def test_efficiency_accepts_only_its_batch_size(tmp_path, fake_run):
    fake_run(tmp_path / "a", metrics={"time": 2.0}, batch_size=5)
    fake_run(tmp_path / "b", "fastdime", metrics={"time": 1.0}, batch_size=16)
    found = collect(["digits"], on_digits("7"), tmp_path)
    assert {row.method for row in found.rows} == {"maskdime"}


def test_a_value_wins_over_none_and_the_lowest_seed_over_others(measure):
    missing = measure(value=None, seed="0")
    rows = [missing, measure(value=3.0, seed="2"), measure(value=2.0, seed="1")]
    assert [row.value for row in chosen(rows)] == [2.0]


def test_runs_go_before_committed_rows(tmp_path, measure, fake_run):
    folder = tmp_path / "committed"
    folder.mkdir()
    old = measure("fr", 50.0, dataset="digits", task="3-8", images=4)
    (folder / "digits-table4.csv").write_text(to_csv([old, replace(old, method="dime")]))
    fake_run(tmp_path / "runs" / "a")
    stored, _ = stored_runs(tmp_path / "runs")
    found = gather(["digits"], on_digits("4"), stored, (), folder)
    rates = {row.method: row.value for row in found.rows if row.metric == "fr"}
    assert rates == {"maskdime": 100.0, "dime": 50.0}


def test_claims_take_time_from_the_efficiency_runs(tmp_path, fake_run):
    fake_run(tmp_path / "a", metrics={"time": 2.0, "fr": 90.0}, batch_size=5)
    fake_run(tmp_path / "b", metrics={"time": 9.0, "fr": 100.0}, images=8)
    rows = all_measured("digits", stored_runs(tmp_path)[0], (), tmp_path / "nothing").rows
    assert {row.value for row in rows if row.metric == "time"} == {2.0}
