"""vcebench table, claims, sweep and figures as a person calls them; their data in the wheel."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vcebench.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty folder; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize("number", ["1", "2", "3", "4", "5", "6", "7"])
def test_every_table_prints(call, number):
    code, out, err = call("table", number)
    assert (code, err) == (0, "")
    assert out.startswith(f"**Table {number}: ")
    assert "|" in out


@pytest.mark.parametrize("number", ["1", "4", "5", "7"])
def test_tables_of_faces_print_for_synthfaces(call, number):
    code, out, _ = call("table", number, "--dataset", "synthfaces")
    assert code == 0
    assert "no reproduction" in out


def test_csv_is_alone_on_stdout_and_the_notes_are_on_stderr(call):
    code, out, err = call("table", "4", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert {row["origin"] for row in rows} >= {"published"}
    assert "as printed" in err


def test_json_is_one_document(call):
    _, out, _ = call("table", "2", "--format", "json")
    assert json.loads(out)["title"] == "BDD100K and BDD-OIA"


@pytest.mark.parametrize("source", ["rcsb", "eced", "dime"])
def test_tables_of_the_other_papers_print(call, source):
    assert call("table", "2", "--source", source)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("table", "9"),
        ("table", "3", "--dataset", "celeba"),
        ("claims", "--dataset", "mnist"),
        ("sweep", "--table", "9", "--dataset", "digits"),
        ("compare", "nowhere", "nothing"),
    ],
)
def test_a_bad_request_is_one_line_and_exit_code_2(call, words):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err.startswith("vcebench: ")
    assert err.count("\n") == 1


def test_claims_on_print_name_those_that_fail(call):
    code, out, _ = call("claims", "--published", "--format", "csv")
    failing = [row["id"] for row in csv.DictReader(io.StringIO(out)) if row["verdict"] == "fails"]
    assert code == 0
    assert len(failing) == 11
    assert "md-002" in failing


def test_claims_on_an_embedded_set_say_what_is_measured(call):
    code, out, _ = call("claims", "--dataset", "digits")
    assert code == 0
    assert "claims: " in out
    assert max(map(len, out.splitlines())) <= 100


def test_diversity_is_printed_as_it_is_swept(call):
    code, out, _ = call("table", "diversity", "--dataset", "synthfaces", "--format", "csv")
    assert code == 0
    assert {row["metric"] for row in csv.DictReader(io.StringIO(out))} >= {"sigma_l"}


def test_a_dry_sweep_lists_commands_and_runs_nothing(call, tmp_path):
    code, out, _ = call("sweep", "--table", "5", "--dataset", "digits", "--dry-run")
    assert code == 0
    assert out.count("vcebench run --method maskdime") == 4
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_finds_its_published_figures(tmp_path):
    names = ["vcebench", "methods", "metrics", "results", "pyproject.toml", "README.md"]
    source = tmp_path / "source"
    source.mkdir()
    subprocess.run(["cp", "-r", *[ROOT / name for name in names], source], check=True)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path[:0] = {[str(tmp_path / 'site'), *sys.path]}\n"
        "from vcebench.results import published\n"
        "print(published.data_folder('published'), len(published.claims()))\n"
        "print(published.data_folder('embedded').is_dir())"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    folder = tmp_path / "site" / "vcebench" / "published_data"
    assert done.stdout.splitlines() == [f"{folder} 308", "True"]
