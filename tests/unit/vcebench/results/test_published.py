"""The published figures are complete, checked and found wherever the package is installed."""

from __future__ import annotations

import csv
from dataclasses import fields

import pytest

from vcebench.results import published
from vcebench.results.published import Claim, PublishedDataError, PublishedFigure, read_entries


def figure(**changes: str) -> dict[str, str]:
    row = {
        "source": "maskdime",
        "table": "1",
        "dataset": "celeba",
        "task": "smile",
        "method": "maskdime",
        "metric": "fid",
        "value": "0.71",
        "cited_from": "own",
        "note": "",
    }
    return {**row, **changes}


def claim(**changes: str) -> dict[str, str]:
    row = dict.fromkeys((field.name for field in fields(Claim)), "")
    row |= {"id": "x-1", "source": "dime", "metric": "fid", "left_method": "dime"}
    return {**row, "relation": "<", "right_method_or_value": "dive", **changes}


@pytest.fixture
def write(tmp_path):
    def write(*rows: dict[str, str]):
        path = tmp_path / "figures.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def test_all_published_files_are_there_and_valid():
    assert len(published.figures()) == 534 + 210 + 180 + 52
    assert len(published.claims()) == 308
    assert len(published.datasets()) == 5
    assert len(published.hyperparameters()) == 204


def test_values_stay_as_printed(write):
    entry = read_entries(write(figure(value="1.0")), PublishedFigure)[0]
    assert (entry.value, entry.number) == ("1.0", 1.0)


def test_a_complexity_is_no_number(write):
    (entry,) = read_entries(write(figure(metric="complexity", value="O(T^2)")), PublishedFigure)
    assert entry.number is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"value": "about 3"}, "no value of fid"),
        ({"metric": "fidd"}, "unknown metric 'fidd'"),
        ({"dataset": "celebb"}, "unknown data set 'celebb'"),
        ({"task": "frown"}, "unknown task 'frown'"),
        ({"source": "nobody"}, "unknown source 'nobody'"),
        ({"metric": "complexity", "value": "linear"}, "no value of complexity"),
    ],
)
def test_a_bad_figure_is_refused_with_its_line(write, changes, complaint):
    path = write(figure(method="dime"), figure(**changes))
    with pytest.raises(PublishedDataError, match=f"line 3: .*{complaint}"):
        read_entries(path, PublishedFigure)


@pytest.mark.parametrize(
    "changes",
    [
        {"relation": "beats"},
        {"margin": "about:2"},
        {"relation": "rank<=", "right_method_or_value": "dive"},
    ],
)
def test_a_bad_claim_is_refused(write, changes):
    with pytest.raises(PublishedDataError, match="line 2"):
        read_entries(write(claim(**changes)), Claim)


def test_margins_are_parsed(write):
    (entry,) = read_entries(write(claim(margin="factor:2.5")), Claim)
    assert entry.limit == ("factor", 2.5)


def test_a_key_stands_once(write):
    with pytest.raises(PublishedDataError, match="stands twice"):
        read_entries(write(figure(), figure(value="0.72")), PublishedFigure)


def test_other_columns_are_refused(write):
    row = figure()
    row["extra"] = "1"
    with pytest.raises(PublishedDataError, match="columns are"):
        read_entries(write(row), PublishedFigure)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PublishedDataError, match=r"nothing\.csv cannot be read"):
        read_entries(tmp_path / "nothing.csv", PublishedFigure)


def test_data_inside_the_package_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "_PACKAGE", tmp_path / "vcebench")
    assert published.data_folder("published") == tmp_path / "results" / "published"
    inside = tmp_path / "vcebench" / "published_data"
    inside.mkdir(parents=True)
    assert published.data_folder("published") == inside
