"""The whole field: which methods run where, in which order, and for how long."""

from __future__ import annotations

import pytest

from vcebench.cli import USAGE, main
from vcebench.errors import UserError
from vcebench.jobs import sweep as sweep_module
from vcebench.jobs.field import FIELD, IMAGES, TASKS, field_plan, registered
from vcebench.jobs.plan import Planned, existing
from vcebench.jobs.sweep import sweep
from vcebench.methods.registry import METHODS
from vcebench.results.measurements import stored_runs


@pytest.mark.parametrize("dataset", sorted(TASKS))
def test_every_method_is_planned_or_left_out_with_its_reason(dataset):
    field = field_plan(dataset)
    pairs = [(wanted.task, wanted.method) for wanted in field.planned]
    assert len(pairs) == len(set(pairs))
    everything = {(task, method) for task in TASKS[dataset] for method in registered()}
    assert set(pairs) | field.left_out.keys() == everything
    assert set(pairs).isdisjoint(field.left_out)
    assert all("\n" not in reason and reason for reason in field.left_out.values())
    assert {wanted.limit for wanted in field.planned} == {IMAGES}
    first = field.planned[0]
    assert (first.task, first.method) == (TASKS[dataset][0], FIELD[0])


def test_what_cannot_run_says_why():
    faces = field_plan("synthfaces").left_out
    reason = faces["smile-shortcut-eyeglasses", "dvce"]
    assert "no robust network ships for synthfaces smile-shortcut-eyeglasses" in reason
    digits = field_plan("digits").left_out
    assert digits["3-8", "rcsb-truth"] == "the true region of digits 3-8 is not known"


@pytest.mark.parametrize("dataset", sorted(TASKS))
def test_what_takes_hours_is_asked_of_a_task_of_faces_and_of_digits(dataset):
    field = field_plan(dataset)
    asked = [wanted.task for wanted in field.planned if wanted.method == "dime"]
    assert asked == [task for task in TASKS[dataset] if task in ("smile", "3-8")]
    reasons = {task: why for (task, method), why in field.left_out.items() if method == "dime"}
    assert reasons.keys() == set(TASKS[dataset]) - set(asked)
    assert all("measured on smile and 3-8 alone" in why for why in reasons.values())


def test_one_id_a_family_and_no_alias_twice():
    entries = [id(METHODS[method]) for method in registered()]
    assert len(entries) == len(set(entries))
    assert "rcsb" not in FIELD


def test_only_embedded_sets_have_a_field():
    with pytest.raises(UserError, match="--all is for embedded sets, not for celeba"):
        field_plan("celeba")
    with pytest.raises(UserError, match="did you mean synthfaces"):
        field_plan("synthface")


def test_what_the_budget_does_not_reach_is_left(tmp_path, monkeypatch):
    clock = iter([0.0, 1.0, 70.0, 80.0])
    monkeypatch.setattr(sweep_module.time, "monotonic", lambda: next(clock))
    planned = [Planned(method, "digits", "3-8", 2) for method in ("maskdime", "fastdime", "pgd")]
    ran = []
    outcomes = sweep(planned, tmp_path, None, ran.append, lambda words: 0, budget=60)
    assert [one.state for one in outcomes] == ["done", "left", "left"]
    assert len(ran) == 1


def test_the_run_in_progress_is_interrupted_and_left(monkeypatch):
    started = []

    class Slow:
        def __init__(self, line, **options):
            self.ended = False
            started.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def wait(self, seconds=None):
            if not self.ended:
                raise sweep_module.subprocess.TimeoutExpired("run", seconds)
            return 130

        def terminate(self):
            self.ended = True

    monkeypatch.setattr(sweep_module.subprocess, "Popen", Slow)
    assert sweep_module._execute(["run"], 0.1) == 124
    assert started[0].ended


@pytest.mark.parametrize(("settings", "there"), [({}, True), ({"tau": 30}, False)])
def test_a_run_of_the_field_has_the_settings_of_its_preset(tmp_path, fake_run, settings, there):
    fake_run(tmp_path / "run", "pgd", settings=settings)
    wanted = Planned("pgd", "digits", "3-8", 4)
    assert (existing(wanted, stored_runs(tmp_path)[0]) is not None) is there


def test_the_command_says_what_it_would_run_and_what_cannot(tmp_path, capsys):
    command = ["sweep", "--all", "--dataset", "digits", "--limit", "2", "--runs", str(tmp_path)]
    assert main([*command, "--dry-run", "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert "--method maskdime --dataset digits --task 3-8 --limit 2" in said.out
    assert "not on 3-8: rcsb-truth: the true region of digits 3-8 is not known" in said.err
    assert main(["sweep", "--all", "--table", "1", "--dataset", "digits"]) == USAGE
    assert main(["sweep", "--dataset", "digits"]) == USAGE
    assert main([*command, "--only-export", "--export", str(tmp_path)]) == USAGE
    assert "nothing is measured on digits; run the sweep first" in capsys.readouterr().err


def test_a_field_is_run_found_again_and_ranked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vcebench.jobs.field.FIELD", ("pgd",))
    monkeypatch.setitem(TASKS, "digits", ("3-8",))
    runs = tmp_path / "runs"
    command = ["sweep", "--all", "--dataset", "digits", "--limit", "1", "--runs", str(runs)]
    for state in ("done", "there"):
        assert main([*command, "--threads", "1", "--format", "csv"]) == 0
        (_, line) = capsys.readouterr().out.strip().splitlines()
        assert line.startswith(f"{state},vcebench run --method pgd")
    (run,) = runs.iterdir()
    assert main(["leaderboard", str(run), "-o", str(tmp_path / "site")]) == 0
    assert ">PGD" in (tmp_path / "site/digits-3-8-test.html").read_text()
