"""vcebench.Benchmark: the command line's runs, from Python."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import vcebench
from vcebench.cli import main
from vcebench.folders.runfolder import RunFolder
from vcebench.methods.registry import METHODS


@pytest.fixture
def bench(tmp_path: Path) -> vcebench.Benchmark:
    return vcebench.Benchmark("digits", task="3-8", limit=2, runs=tmp_path / "runs", device="cpu")


def halve(images, target, *, classifier, seed):
    return images / 2


def test_methods_and_callables_stand_in_one_table(bench):
    before = dict(METHODS)
    try:
        bench.run("pgd", batch_size=2)
        bench.run(halve, name="mine", batch_size=2)
    finally:
        METHODS.clear()
        METHODS.update(before)
    table = bench.table(["fr", "nfe"], intervals=True)
    assert list(table.columns) == ["pgd", "mine"]
    assert list(table.index) == ["FR % ↑", "NFE ↓"]
    assert "[" in table.loc["FR % ↑", "pgd"]
    assert pd.isna(table.loc["NFE ↓", "mine"])
    picture = bench.show(2)
    assert picture.width > picture.height > 2 * 128
    assert "mine" in bench._repr_html_()
    assert bench.results["pgd"].to_frame().loc["fr", "n"] == 2
    assert "<td>all</td>" in bench.results["pgd"]._repr_html_()


def test_the_command_line_finds_the_same_run(bench, capsys):
    result = bench.run("pgd", batch_size=2, tau=3)
    path = result.folder.path
    before = (path / "shards").stat().st_mtime_ns
    command = ["run", "--method", "pgd", "--dataset", "digits", "--limit", "2", "--tau", "3"]
    assert main([*command, "--batch-size", "2", "--device", "cpu", "--output", str(path)]) == 0
    assert (path / "shards").stat().st_mtime_ns == before
    assert len(RunFolder(path).rows()) == 2


def test_a_stored_run_of_another_task_is_refused(bench, fixture_run):
    with pytest.raises(vcebench.UserError, match="is about synthfaces smile, not digits 3-8 test"):
        bench.add(fixture_run("maskdime", ids=2).path)


def test_nothing_run_is_one_sentence(bench):
    with pytest.raises(vcebench.UserError, match="nothing was run yet"):
        bench.show()
    assert "nothing run yet" in repr(bench)


def test_a_wrong_name_is_told_at_once():
    with pytest.raises(vcebench.UserError, match="did you mean synthfaces"):
        vcebench.Benchmark("synthface")
