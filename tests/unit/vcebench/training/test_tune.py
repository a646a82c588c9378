"""Settings tried on `val`, on the shipped networks of `digits`; svce asks no prior and is fast."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vcebench.errors import UserError
from vcebench.training import tune as module
from vcebench.training.tune import Trial, choose, grid, main, tune

TASK = ("digits", "3-8-robust", "svce")


def trial(convincing: float | None, l1: float) -> Trial:
    return Trial({}, 16, 1.0, None, convincing, convincing, l1, None, 1.0, 0.1)


def test_a_grid_is_a_product_and_several_are_joined() -> None:
    assert grid(["step=3/255,0.1 p=2", "on=true", "step=0.1 p=2"]) == [
        {"step": 3 / 255, "p": 2},
        {"step": 0.1, "p": 2},
        {"on": True},
    ]
    assert grid([]) == [{}]


@pytest.mark.parametrize("text", ["step", "=3", "step=", "step=1/0", "step=a b"])
def test_what_is_no_grid_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="write name=value,value"):
        grid([text])


def test_the_smallest_change_among_the_convincing_is_chosen() -> None:
    strong, enough, weak = trial(1.0, 0.05), trial(0.98, 0.03), trial(0.9, 0.01)
    assert choose([strong, enough, weak]) is enough
    assert choose([strong, weak]) is strong


def test_nothing_is_chosen_where_the_oracle_is_never_convinced() -> None:
    assert choose([trial(0.0, 0.01), trial(None, 0.01)]) is None
    assert choose([]) is None


def test_a_method_is_tried_and_an_interrupted_call_goes_on(tmp_path, monkeypatch) -> None:
    kept = tmp_path / "trials.jsonl"
    (first,) = tune(*TASK, grid(["epsilon=18 iterations=30"]), 4, kept)
    assert first.images == 4
    assert first.flipped == first.robust  # the robust classifier is the one explained here
    assert 0 < first.flipped <= 1
    assert first.convincing <= min(first.flipped, first.oracle)
    assert 0 < first.l1 < 0.2
    assert first.gt_precision is None
    assert first.largest == 1
    tried = []
    monkeypatch.setattr(module, "attempt", lambda *_: tried.append(1) or replace(first, l1=0.5))
    again = tune(*TASK, grid(["epsilon=18,9 iterations=30"]), 4, kept)
    assert again[0] == first
    assert again[1].l1 == 0.5
    assert len(tried) == 1
    assert len(kept.read_text().splitlines()) == 2
    # Other networks make other keys, so that nothing stands for what it is not.
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    changed = [{**line, "key": line["key"].replace("robust:", "robust:x")} for line in lines]
    kept.write_text("".join(json.dumps(line) + "\n" for line in changed))
    tune(*TASK, grid(["epsilon=18 iterations=30"]), 4, kept)
    assert len(tried) == 2


def test_truth_is_used_where_it_is_known(tmp_path) -> None:
    grid_ = grid(["epsilon=100 iterations=5"])  # far enough to flip whatever is asked
    (found,) = tune("synthfaces", "smile", "svce", grid_, 2, tmp_path / "trials.jsonl")
    assert found.flipped == 1
    assert 0 < found.gt_precision < 1


def test_a_wrong_setting_is_said_before_anything_is_tried(tmp_path, capsys) -> None:
    kept = tmp_path / "trials.jsonl"
    words = [*TASK, "--grid", "epsilon=18", "--grid", "radius=1", "--output", str(kept)]
    assert main(words) == 2
    assert "svce has no setting 'radius'" in capsys.readouterr().err
    assert not kept.exists()
    kept.write_text("something else\n")
    assert main([*TASK, "--images", "2", "--output", str(kept)]) == 2
    assert "is no file of trials" in capsys.readouterr().err


def test_the_table_shows_what_is_chosen(tmp_path, capsys) -> None:
    kept = str(tmp_path / "trials.jsonl")
    words = [*TASK, "--grid", "epsilon=18 iterations=10", "--images", "2", "--output", kept]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "epsilon=18 iterations=10" in out
    assert ("←" in out) != ("nothing is chosen" in err)
