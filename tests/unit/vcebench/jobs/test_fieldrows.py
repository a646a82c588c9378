"""Figures of the field: which runs count, what is kept, what is still to run."""

from __future__ import annotations

import json

from vcebench.data.registry import dataset_entry
from vcebench.jobs.fieldrows import export, gather, waiting
from vcebench.methods.registry import METHODS
from vcebench.models.shipped import digests
from vcebench.results.collection import committed, committed_usual
from vcebench.results.measurements import stored_runs


def test_runs_of_the_preset_on_64_images_count(tmp_path, fake_run):
    runs = tmp_path / "runs"
    fake_run(runs / "a", metrics={"fr": 90.0}, images=64)
    fake_run(runs / "b", "pgd", metrics={"fr": 80.0}, images=64, settings={"tau": 3})
    fake_run(runs / "c", "svce", metrics={"fr": 70.0}, images=32)
    rows = gather("digits", stored_runs(runs)[0], tmp_path).rows
    assert {(r.method, r.metric) for r in rows} == {
        *[("maskdime", metric) for metric in ("fr", "nfe", "nfe_per_try")]
    }


def test_what_is_committed_stays_until_it_is_measured_again(tmp_path, fake_run, measure):
    place = {"dataset": "digits", "task": "3-8", "images": 64, "n": 64}
    old = [measure("fr", 50.0, **place), measure("fr", 60.0, method="pgd", **place)]
    path = export(old, "digits", tmp_path)
    assert path.name == "digits-field.csv"
    fake_run(tmp_path / "runs/a", metrics={"fr": 90.0}, images=64)
    rows = gather("digits", stored_runs(tmp_path / "runs")[0], tmp_path).rows
    assert {r.method: r.value for r in rows if r.metric == "fr"} == {"maskdime": 90.0, "pgd": 60.0}
    export(rows, "digits", tmp_path)
    assert len(committed("digits", "field", tmp_path)) == len(rows)
    assert len(committed_usual("digits", tmp_path)) == len(rows)


def test_what_has_no_figure_is_waited_for(measure):
    row = measure("fr", 50.0, dataset="digits", task="3-8", images=64)
    missing = measure("fr", None, dataset="digits", task="4-9", images=64, note="a reason")
    left = [(w.task, w.method) for w in waiting("digits", [row, missing])]
    assert ("3-8", "maskdime") not in left
    assert ("4-9", "maskdime") in left


def test_a_run_with_other_networks_than_ship_now_is_left_out(tmp_path, fake_run):
    path = fake_run(tmp_path / "runs/a", "pgd", metrics={"fr": 90.0}, images=64)
    needs = METHODS["pgd"].factory.needs
    now = digests("digits", dataset_entry("digits").task("3-8"), needs)
    manifest = json.loads((path / "manifest.json").read_text())
    for digest, count in ((now["classifier"], 3), ("0" * 64, 0)):
        networks = {"classifier": {"name": "a network", "sha256": digest}}
        (path / "manifest.json").write_text(json.dumps({**manifest, "networks": networks}))
        found = gather("digits", stored_runs(tmp_path / "runs")[0], tmp_path)
        assert len(found.rows) == count
    (line,) = found.remarks
    assert line == f"{path} is left out: made with another classifier network than ships now"
