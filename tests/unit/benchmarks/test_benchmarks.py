"""What turns measurements into a table, and the parts that have values to check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import evaluating, machine, overhead, run
from benchmarks.figures import Figure, ratio, skipped, table
from benchmarks.machine import in_turn, operations
from benchmarks.scripts import Scripts
from benchmarks.setting import QUICK, setting
from vcebench.evaluating.evaluation import evaluate
from vcebench.folders.images import dequantise
from vcebench.models.loading import load_bundle


def test_operations_of_a_convolution_by_hand():
    network, x = nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.zeros(2, 3, 8, 8)
    forward = 2 * (2 * 8 * 8) * 4 * (3 * 3 * 3)
    assert operations(network, x) == forward
    # Without frozen weights: one more product for the input's gradient, one for the weights'.
    assert operations(network, x, backward=True) == 3 * forward


def test_measurements_are_taken_in_turn_and_the_median_counts(monkeypatch):
    order: list[str] = []
    lengths = iter([1.0, 5.0, 9.0, 6.0, 2.0, 7.0])
    monkeypatch.setattr(machine, "seconds", lambda of: (of(), next(lengths))[1])
    runs: dict[str, Any] = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    assert in_turn(runs, 3) == {"a": 2.0, "b": 6.0}
    assert order == ["a", "b"] * 3


@pytest.mark.parametrize(
    ("value", "bounds", "met"),
    [
        (1.04, {"at_most": 1.05}, True),
        (1.06, {"at_most": 1.05}, False),
        (1.29, {"at_least": 1.3}, False),
        (2.0, {"at_least": 2}, True),
        (2.0, {}, None),
    ],
)
def test_a_ratio_is_judged_by_its_target(value, bounds, met):
    assert ratio("a", "ratio", value, **bounds).met is met


def test_a_missed_figure_stands_out_and_a_skipped_one_says_why():
    text = table([ratio("a", "slow", 2.0, at_most=1), skipped("c", "compiled", "no compiler")])
    assert "**no**" in text
    assert "skipped: no compiler" in text


def test_the_bare_evaluations_are_as_many_as_the_method_makes(monkeypatch):
    given = setting(QUICK, QUICK.batch_size, rungs=[8.0])
    calls = {"prior": 0, "classifier": 0, "perceptual": 0}

    def count(name: str) -> Any:
        def hook(module: nn.Module, x: Any, out: torch.Tensor) -> None:
            # The classifier's decisions, without gradient, count as overhead; φ(x) is made once.
            calls[name] += name == "prior" or out.requires_grad

        return hook

    worker = given.worker
    worker.prior.network.register_forward_hook(count("prior"))
    worker.guide.network.register_forward_hook(count("classifier"))
    worker.perceptual.register_forward_hook(count("perceptual"))
    worker.explain(given.tries())
    made = dict(calls)
    calls.update(dict.fromkeys(calls, 0))
    overhead.evaluations(worker, dequantise(given.stacked()), QUICK.tau, QUICK.tau)
    assert made == calls == dict.fromkeys(calls, QUICK.tau)


@pytest.fixture(scope="module")
def stored_pairs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    bundle = load_bundle("synthfaces", "smile")
    return evaluating.pairs(tmp_path_factory.mktemp("pairs") / "run", 12, bundle), bundle


def test_scripts_and_the_evaluation_agree(stored_pairs, recwarn):
    folder, bundle = stored_pairs
    found = evaluating.differences(evaluate(folder, bundle), Scripts(folder, bundle).values())
    assert len(found) == 19
    assert max(found.values()) < evaluating.TOLERANCE


def test_a_metric_that_only_the_scripts_have_is_an_error(stored_pairs, recwarn):
    folder, bundle = stored_pairs
    ours = evaluate(folder, bundle, limit=6)
    with pytest.raises(RuntimeError, match="sigma_l is missing"):
        evaluating.differences(ours, {"sigma_l": 0.1})


def test_the_command_writes_the_table_it_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "SIDE", 64)
    line = Figure("floor", "made up", "1.5")
    monkeypatch.setitem(
        run.PARTS, "floor", lambda scale, machine: [replace(line, note=scale.dataset)]
    )
    run.main(["--quick", "--only", "floor", "--output", str(tmp_path / "table.md")])
    printed = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text() == printed
    assert "| made up | 1.5 " in " ".join(printed.split())
    assert "GFLOP/s" in printed


def test_a_page_with_marks_keeps_its_text(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{run.BEGIN}\nold\n{run.END}\nafter\n")
    for text in ("first\n", "second\n"):
        run.write(page, text)
        assert page.read_text() == f"before\n{run.BEGIN}\n\n{text}\n{run.END}\nafter\n"


def test_the_page_in_the_documentation_has_the_marks():
    page = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()
    assert page.index(run.BEGIN) < page.index(run.END)
