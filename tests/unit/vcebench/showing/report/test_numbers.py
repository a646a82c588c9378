"""Numbers of a run: read from metrics.json, with what they are worth."""

import json

import pytest

from vcebench.errors import UserError
from vcebench.metrics.registry import METRICS
from vcebench.showing.report.numbers import NOT_EVALUATED, Number, measured_of, ranks


def number(id, value, **more):
    return Number(METRICS[id], value, **more)


def test_a_number_carries_interval_n_network_and_hash(fixture_run):
    found = measured_of(fixture_run(ids=6), 6).numbers["fr"]
    assert found.n == 6
    assert found.interval is not None
    assert found.backbone == "fixture classifier"
    assert found.sha256 == "5f" * 32


def test_a_missing_number_keeps_its_reason(fixture_run):
    found = measured_of(fixture_run(ids=3), 3).numbers["sigma_l"]
    assert (found.value, found.text, found.reason) == (None, "–", "needs --seeds 5")


def test_a_run_that_was_not_evaluated_says_so_for_every_metric(fixture_run):
    found = measured_of(fixture_run(ids=2, evaluated=False), 2).numbers
    assert {n.reason for n in found.values()} == {NOT_EVALUATED}


def test_metrics_of_fewer_images_than_the_run_has_are_noted(fixture_run):
    notes = measured_of(fixture_run(ids=3), 5).notes
    assert any("count 3 images, the run holds 5" in note for note in notes)


@pytest.mark.parametrize("text", ["{", "[]", '{"metrics": [{}]}', '{"metrics": 1}'])
def test_a_damaged_file_is_one_line_with_what_to_do(fixture_run, text):
    folder = fixture_run(ids=2)
    (folder.path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match="run vcebench evaluate"):
        measured_of(folder, 2)


def test_a_metric_this_version_does_not_know_is_left_out(fixture_run):
    folder = fixture_run(ids=2)
    path = folder.path / "metrics.json"
    document = json.loads(path.read_text())
    document["metrics"] = [{**document["metrics"][0], "id": "later"}]
    path.write_text(json.dumps(document))
    assert set(measured_of(folder, 2).numbers) == set(METRICS)


@pytest.mark.parametrize(
    ("id", "values", "expected"),
    [
        ("fr", [90.0, 80.0, 70.0], [1, 2, None]),
        ("fid", [9.0, 8.0, 7.0], [None, 2, 1]),
        ("fid", [9.0, 9.0, 7.0], [2, 2, 1]),
        ("fid", [9.0, None, 7.0], [2, None, 1]),
        ("fid", [9.0, 9.0], [None, None]),
        ("fid", [9.0], [None]),
    ],
)
def test_ranks_follow_the_direction_of_the_metric(id, values, expected):
    column = [number(id, value, reason=None if value else "why") for value in values]
    assert ranks(column) == expected


def test_numbers_of_different_networks_are_not_ranked():
    column = [number("fid", 1.0, backbone="a"), number("fid", 2.0, backbone="b")]
    assert ranks(column) == [None, None]
