"""A method from outside, from the command line to the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vcebench.cli import USAGE, main
from vcebench.folders.runfolder import RunFolder
from vcebench.methods.registry import METHODS
from vcebench.settings import plugins

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _forget() -> None:
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)
    plugins._LOADED.clear()


def run(method: str, output: Path, *options: str) -> int:
    command = ["run", "--method", method, "--limit", "4", "--batch-size", "4"]
    return main([*command, "--output", str(output), *options])


def test_a_callable_runs_continues_and_stands_in_the_table(tmp_path, capsys):
    runs = tmp_path / "runs"
    place = f"{EXAMPLES}/explainer.py:descend"
    options = ("--dataset", "synthfaces", "--name", "mine")
    assert run(place, runs / "mine", *options) == 0
    assert "not known" in capsys.readouterr().out
    folder = RunFolder(runs / "mine")
    rows = folder.rows()
    assert all(row.flipped for row in rows)
    assert {(row.nfe, row.lambda_class, row.tries) for row in rows} == {(None, None, 1)}
    origin = folder.manifest()["config"]["origin"]
    assert origin["where"] == "explainer.py:descend"
    assert len(origin["sha256"]) == 64
    # Another process knows nothing of the plug-in, and reads its folder all the same.
    METHODS.pop("mine")
    plugins._LOADED.clear()
    assert main(["evaluate", str(folder.path), "--format", "json"]) == 0
    capsys.readouterr()
    command = ["table", "1", "--dataset", "synthfaces", "--runs", str(runs)]
    assert main([*command, "--format", "csv"]) == 0
    assert "measured,synthfaces,smile,mine,cout" in capsys.readouterr().out
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "| mine" in shown
    assert "MaskDiME" in shown
    assert run(place, runs / "mine", *options) == 0
    # In a leaderboard it stands beside a run of the package.
    assert run("maskdime", runs / "ours", "--dataset", "synthfaces", "--tau", "2") == 0
    given = [str(runs / "mine"), str(runs / "ours")]
    assert main(["leaderboard", *given, "-o", str(tmp_path / "site")]) == 0
    board = (tmp_path / "site/synthfaces-smile-test.html").read_text()
    body = board.partition("<tbody>")[2]
    assert ">mine</a>" in body
    assert ">MaskDiME" in body
    assert "plug-in explainer.py:descend" in body


def test_a_method_of_the_loop_lives_outside_the_repository(tmp_path):
    place = f"{EXAMPLES}/method.py:Shrinking"
    output = tmp_path / "run"
    assert run(place, output, "--dataset", "digits", "--tau", "6") == 0
    folder = RunFolder(output)
    assert folder.config().method == "Shrinking"
    assert folder.config().settings["tau"] == 6
    assert all(row.nfe for row in folder.rows())


def test_what_a_method_of_the_loop_costs_is_told_before_it_is_run(tmp_path, capsys):
    place = f"{EXAMPLES}/method.py:Shrinking"
    assert run(place, tmp_path / "run", "--dataset", "digits", "--dry-run") == 0
    assert "prior evaluations" in capsys.readouterr().out


def test_a_callable_that_fails_stops_the_run_in_one_sentence(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def f(images, target, *, classifier, seed):\n    return images[:, :1]\n")
    assert run(f"{file}:f", tmp_path / "run", "--dataset", "digits") == USAGE
    said = capsys.readouterr().err
    assert "f returned shape (4, 1, 32, 32); return that of the images, (4, 3, 32, 32)" in said
    assert "Traceback" not in said
    assert RunFolder(tmp_path / "run").rows() == []


def test_a_folder_that_names_a_plug_in_gets_nothing_imported(tmp_path, capsys, fixture_run):
    folder = fixture_run("maskdime", ids=2)
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    manifest = folder.manifest()
    manifest["config"]["method"] = f"{trap}:f"
    manifest["config"]["origin"] = {"kind": "plugin", "where": f"{trap}:f", "sha256": "0" * 64}
    (folder.path / "manifest.json").write_text(json.dumps(manifest))
    for command in (
        ["evaluate", str(folder.path)],
        ["report", str(folder.path), "--output", str(tmp_path / "site")],
        ["table", "1", "--dataset", "synthfaces", "--runs", str(folder.path.parent)],
        ["compare", str(folder.path), str(folder.path)],
    ):
        main(command)
    assert not (tmp_path / "pwned").exists()


def test_listing_shows_where_methods_come_from(capsys):
    assert main(["list", "methods", "--format", "json"]) == 0
    listed = {entry["id"]: entry["from"] for entry in json.loads(capsys.readouterr().out)}
    assert listed["maskdime"] == "vcebench"
