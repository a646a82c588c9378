"""Runs on several processes: shards, jobs through submitit, workers of Ray."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vcebench.cli import main
from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.running import runner
from vcebench.running.assemble import networks_of
from vcebench.running.engines.ray import Ray, RayEngine
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig
from vcebench.settings.request import Request, resolve

SHORT = ("--method", "maskdime", "--dataset", "digits", "--tau", "2", "--batch-size", "2")
LIMITED = (*SHORT, "--limit", "6")


def contents(folder: Path) -> dict[str, bytes]:
    kinds = ("inputs", "counterfactuals", "masks")
    return {f"{k}/{p.name}": p.read_bytes() for k in kinds for p in (folder / k).iterdir()}


def results(folder: Path) -> list[dict[str, Any]]:
    return [{**vars(row), "seconds": 0} for row in RunFolder(folder).rows()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on one process."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert main(["run", *LIMITED, "--output", str(folder)]) == 0
    return folder


def same(folder: Path, other: Path) -> None:
    assert results(folder) == results(other)
    assert contents(folder) == contents(other)


def test_shards_and_merge(
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    for i in range(3):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(i))
        assert main(["run", *LIMITED, "--output", str(run), "--shard", "/3"]) == 0
        out, err = capsys.readouterr()
        assert out == f"{run}-shard-{i}-of-3\n"
        assert f"vcebench merge {run}-shard-*-of-3" in err
    shards = sorted(str(path) for path in tmp_path.glob("run-shard-*"))
    assert main(["merge", *shards[:2], "--no-metrics"]) == 2
    assert "shards 2 of 3 are missing" in capsys.readouterr().err
    assert main(["merge", *shards, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("run,seed,id")
    same(run, whole)
    assert (run / "metrics.json").exists()


@pytest.mark.slow
def test_jobs_through_submitit_on_this_machine(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    run = tmp_path / "run"
    submit = ["submit", "--local", "--wait", "--array", "2", "-o", str(run), "--"]
    assert main([*submit, *LIMITED]) == 0
    assert len(capsys.readouterr().out.split()) == 2
    shards = [str(path) for path in tmp_path.glob("run-shard-*")]
    assert main(["merge", *shards, "--no-metrics"]) == 0
    same(run, whole)


@pytest.mark.slow
def test_a_job_that_fails_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("submitit")
    submit = ["submit", "--local", "--wait", "--array", "1", "-o", str(tmp_path / "run"), "--"]
    assert main([*submit, "--method", "maskdime", "--dataset", "digts"]) == 2
    err = capsys.readouterr().err
    assert "1 of 1 jobs failed" in err.splitlines()[-1]
    assert "run-logs" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--methd", "maskdime"), "--methd"),
        (("--method", "maskdime", "--shard", "0/2"), "--shard is set for every job"),
        (("--output", "elsewhere"), "--output is set for every job"),
    ],
)
def test_a_wrong_submission_is_refused_at_once(
    words: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", "--local", "--array", "2", "-o", str(tmp_path / "r"), "--", *words]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("ray", ("run", *SHORT, "--engine", "ray"), "ray"),
        ("submitit", ("submit", "--array", "2", "-o", "r", "--", *SHORT), "slurm"),
    ],
)
def test_without_the_package_the_extra_is_named(
    package: str,
    words: tuple[str, ...],
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert f"pip install 'vcebench[{extra}]'" in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_workers_belong_to_ray(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *SHORT, "--workers", "2"]) == 2
    assert "go with --engine ray" in capsys.readouterr().err


class Killing(Ray):
    """Ray's launcher with somebody who kills workers while a batch is under way."""

    kills = 1

    def __call__(
        self, config: RunConfig, worker: Worker, on_step: Callable[[int], None]
    ) -> RayEngine:
        engine = super().__call__(config, worker, on_step)
        threading.Thread(target=self._kill, args=(engine,), daemon=True).start()
        return engine

    def _kill(self, engine: RayEngine) -> None:
        seen: set[str] = set()
        while len(seen) < self.kills:
            for where in set(engine.processes.copy().values()) - seen:
                seen.add(where)
                os.kill(int(where.split()[-1]), signal.SIGKILL)
                if len(seen) >= self.kills:
                    return
            time.sleep(0.005)


class AlwaysKilling(Killing):
    kills = 1000


@pytest.mark.slow
def test_ray_workers_make_the_same_bits_though_one_is_killed(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    settings = {"tau": 2}
    config, images = resolve(
        Request(method="maskdime", dataset="digits", limit=6, batch_size=2, settings=settings)
    )
    bundle = networks_of(config)
    folder = runner.run(config, images, tmp_path / "run", bundle, launch=Killing(2))
    assert "a worker died" in capsys.readouterr().err
    same(folder.path, whole)
    (sitting,) = folder.manifest()["sittings"]
    assert sitting["engine"] == "ray, 2 workers, this machine"
    assert sitting["peak_memory_mib"] > 0
    with pytest.raises(UserError, match=r"died .*see Ray's logs"):
        runner.run(config, images, tmp_path / "hopeless", bundle, launch=AlwaysKilling(1))
    continued = runner.run(config, images, tmp_path / "hopeless", bundle)
    same(continued.path, whole)


@pytest.mark.slow
def test_an_unreachable_cluster_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    asked = ["--engine", "ray", "--address", "127.0.0.1:1", "--output", str(tmp_path / "run")]
    assert main(["run", *LIMITED, *asked]) == 2
    assert "no Ray cluster at 127.0.0.1:1" in capsys.readouterr().err.splitlines()[-1]
