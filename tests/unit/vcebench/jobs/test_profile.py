"""Clocks around a run: nothing it makes changes, and all of its time is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vcebench.cli import USAGE, main
from vcebench.folders.runfolder import RunFolder
from vcebench.jobs import profile
from vcebench.jobs.profile import PROFILE, profiled, stored, table_profiles
from vcebench.models.bundle import Bundle
from vcebench.running.timed import PHASES
from vcebench.settings.request import Request, resolve

TINY = {"tau": 3, "guidance_scale": 40.0, "top_k": 0.3}


@pytest.fixture(autouse=True)
def _tiny_networks(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "networks_of", lambda config: bundle)


def asked(**values: Any) -> Any:
    return resolve(
        Request("maskdime", "digits", limit=6, batch_size=4, device="cpu", settings=TINY, **values)
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_a_profiled_run_makes_the_same_files(
    tiny_run: Any, bundle: Bundle, contents: Callable[..., Any], tmp_path: Path, threads: int
) -> None:
    config, images = asked()
    found = profile.profile(config, images, bundle, tmp_path / "timed", threads)
    assert contents(RunFolder(tmp_path / "timed")) == contents(tiny_run("plain"))
    rows = RunFolder(tmp_path / "timed").rows()
    assert found.tries == sum(row.tries for row in rows) > len(rows)
    assert found.nfe == 3 * found.tries / 6


def test_all_time_of_one_thread_is_some_phases(bundle: Bundle, tmp_path: Path) -> None:
    found = profile.profile(*asked(), bundle, tmp_path / "run", threads=1)
    assert all(found.phases[name] > 0 for name in PHASES)
    # One thread works, or the main one: the wall time, nearly all of it and once. A thread that
    # loses the processor while it hands over counts its wait, so a little may be counted twice.
    assert 0.8 < sum(found.phases.values()) / found.seconds < 1.2


def test_a_profile_is_made_once(bundle: Bundle, tmp_path: Path, monkeypatch: Any) -> None:
    output = tmp_path / "run"
    first = profiled(*asked(), output, threads=1)
    assert json.loads((output / "metrics.json").read_text())["images"] == 6
    monkeypatch.setattr(profile, "networks_of", lambda config: pytest.fail("it is there"))
    assert profiled(*asked(), output) == first == stored(output)


def test_a_run_made_without_clocks_stays_as_it_is(
    tiny_run: Any, contents: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tiny_run("run")
    shards = [path.stat().st_mtime_ns for path in folder.shards()]
    profiled(*asked(), folder.path, threads=1)
    assert (folder.path / PROFILE).exists()
    assert [path.stat().st_mtime_ns for path in folder.shards()] == shards


def test_the_efficiency_table_asks_for_its_methods_and_batch(tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def execute(words: Any) -> int:
        commands.append(list(words))
        folder = Path(words[words.index("--output") + 1])
        folder.mkdir(parents=True)
        tau = int(words[words.index("--tau") + 1]) if "--tau" in words else 60
        content = {"method": words[2], "tau": tau, "images": 1, "tries": 1, "nfe": 1.0}
        content |= {"seconds": 1.0, "phases": dict.fromkeys(PHASES, 1.0), "threads": 1}
        content |= {"memory_mib": 1.0, "memory_of": "made up"}
        (folder / PROFILE).write_text(json.dumps(content))
        return 0

    found = table_profiles("digits", None, tmp_path, execute, device="cpu", precision="bf16")
    assert [one.method for one in found][:3] == ["maskdime", "fastdime", "dime"]
    asked = {"--batch-size": "5", "--device": "cpu", "--precision": "bf16"}
    assert all(
        words[words.index(o) + 1] == value for words in commands for o, value in asked.items()
    )
    assert {words[words.index("--limit") + 1] for words in commands} == {"20", "5"}
    assert [one.method for one in found if one.tau == 30] == ["maskdime", "fastdime", "dime"]
    # These profiles are of before backward passes were counted.
    assert {one.row()["backward"] for one in found} == {None}


def test_backward_passes_through_the_prior_have_a_column(bundle: Bundle, tmp_path: Path) -> None:
    settings = {"iterations": 3, "filter_steps": 2}
    request = Request("ace-l1", "digits", limit=3, batch_size=4, device="cpu", settings=settings)
    found = profile.profile(*resolve(request), bundle, tmp_path / "run", threads=1)
    assert (found.nfe, found.backward) == (8, 6)
    assert stored(tmp_path / "run").row()["backward"] == 6


def test_the_command_prints_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["profile", "--dataset", "digits", "--method", "maskdime", "--limit", "2"]
    words += ["--batch-size", "2", "--tau", "3", "--set", "top-k=0.3"]
    words += ["--runs", str(tmp_path), "--format", "json"]
    assert main(words) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["n"], row["NFE"]) == (2, 3 * row["tries"] / 2)
    assert row["backward"] == 0
    shares = [row[f"{name}, %"] for name in PHASES]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    (folder,) = tmp_path.iterdir()
    assert RunFolder(folder).config().settings["top_k"] == 0.3
    assert (folder / "metrics.json").exists()


def test_settings_are_one_methods(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--dataset", "digits", "--set", "top-k=0.3"]) == USAGE
    assert "say --method too" in capsys.readouterr().err
