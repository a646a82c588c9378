"""vcebench truth and sanity, from the command line, on a few images."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from vcebench.cli import USAGE, main


def records(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_run_on_a_planted_shortcut_has_the_cue_metrics(tmp_path: Path, capsys) -> None:
    command = ["run", "--method", "pgd", "--dataset", "synthfaces"]
    command += ["--task", "smile-shortcut-patch", "--limit", "2", "--batch-size", "2"]
    command += ["--output", str(tmp_path / "run")]
    assert main([*command, "--format", "json"]) == 0
    capsys.readouterr()
    document = json.loads((tmp_path / "run" / "metrics.json").read_text())
    found = {record["id"]: record for record in document["metrics"]}
    # The attack turns the decision, and leaves the patch as it is.
    assert found["fr"]["value"] == 100
    assert found["cue_recall"]["value"] == 0
    assert 0 <= found["cue_precision"]["value"] < 0.2
    assert found["share_agreement"]["reason"] == "patch is the only cause"
    assert found["cd"]["reason"] == "patch is not among the attributes"


def test_driving_scenes_have_true_counterfactuals(tmp_path: Path, capsys) -> None:
    command = ["run", "--method", "maskdime", "--dataset", "synthroads"]
    command += ["--limit", "2", "--batch-size", "2"]
    assert main([*command, "--output", str(tmp_path / "run"), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = {record["id"]: record for record in document["metrics"]}
    assert found["fr"]["value"] == 100
    assert 0 < found["gt_precision"]["value"] < 1
    assert 0 < found["off_target"]["value"] < 0.05


def test_sanity_compares_three_runs_and_reuses_them(tmp_path: Path, capsys) -> None:
    command = ["sanity", "--method", "pgd", "--limit", "2", "--runs", str(tmp_path / "runs")]
    assert main([*command, "--format", "csv"]) == 0
    first = capsys.readouterr().out
    rows = records(first)
    assert [row["classifier"] for row in rows] == ["random", "permuted"]
    assert all(0.3 < float(row["difference"]) <= 1 for row in rows)
    assert len(list((tmp_path / "runs").iterdir())) == 3
    assert main([*command, "--format", "csv"]) == 0
    again = capsys.readouterr()
    assert again.out == first
    assert "run 1 of" not in again.err

    # What is there is in the table of the truth, too, and its file; nothing else is run.
    export = tmp_path / "out"
    command = ["truth", "--only-stored", "--limit", "2", "--runs", str(tmp_path / "runs")]
    assert main([*command, "--export", str(export), "--format", "csv"]) == 0
    rows = records(capsys.readouterr().out)
    assert [row["metric"] for row in rows if row["method"] == "pgd" and row["images"] == "2"] == [
        "sanity_random",
        "sanity_permuted",
    ]
    assert (export / "synthfaces-truth.csv").is_file()
    assert main(command) == 0
    assert re.search(r"^\| smile +\| pgd ", capsys.readouterr().out, re.MULTILINE)


def test_truth_says_what_it_would_run(tmp_path: Path, capsys) -> None:
    command = ["truth", "--dry-run", "--limit", "4", "--runs", str(tmp_path)]
    assert main([*command, "--format", "csv"]) == 0
    rows = records(capsys.readouterr().out)
    assert {row["state"] for row in rows} == {"missing"}
    assert rows[0]["command"] == (
        "vcebench run --method maskdime --dataset synthfaces --task smile --limit 4"
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["truth", "--dataset", "digits"], "the true counterfactuals of digits are not known"),
        (["truth", "--dataset", "celeba"], "the true counterfactuals of celeba are not known"),
        (["sanity", "--method", "pgd", "--dataset", "digits", "--task", "3-8"], "there is on"),
        (["sanity", "--method", "pdg"], "did you mean 'pgd'"),
        (
            ["run", "--method", "pgd", "--dataset", "digits", "--classifier", "random"],
            "digits 3-8 has no random classifier",
        ),
    ],
)
def test_wrong_requests_are_one_line(tmp_path, capsys, monkeypatch, command, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == USAGE
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
