"""The real small networks, killed, starved and interrupted: the same command continues.

Children are forked from a process that has the package imported already, so that a kill costs the
time of the run and not of the imports.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from vcebench.cli import main
from vcebench.folders.damage import damages
from vcebench.folders.runfolder import RunFolder

pytestmark = pytest.mark.slow

RUN = ("run", "--method", "maskdime", "--dataset", "digits", "--tau", "2", "--batch-size", "2")
LIMIT = 6
KILLS = 20

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    ["vcebench.cli", "vcebench.jobs.session", "vcebench.running.shards"]
)


def command(folder: Path) -> list[str]:
    return [*RUN, "--limit", str(LIMIT), "--threads", "1", "--output", str(folder)]


def start(folder: Path) -> ForkServerProcess:
    """The command in a process of its own."""
    child = CHILDREN.Process(target=main, args=(command(folder),))
    child.start()
    return child


def contents(folder: Path) -> dict[str, bytes]:
    kinds = ("inputs", "counterfactuals", "masks")
    return {f"{k}/{p.name}": p.read_bytes() for k in kinds for p in (folder / k).iterdir()}


def results(folder: Path) -> list[dict[str, Any]]:
    return [{**vars(row), "seconds": 0} for row in RunFolder(folder).rows()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run from beginning to end, and the seconds it took."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    start(folder.with_name("warm-up")).join()
    begun = time.monotonic()
    start(folder).join()
    assert len(RunFolder(folder).rows()) == LIMIT
    assert (folder / "metrics.json").exists()
    return folder, time.monotonic() - begun


def check(folder: Path, undisturbed: Path) -> None:
    """Continue a run and compare its end."""
    assert main(command(folder)) == 0
    assert results(folder) == results(undisturbed)
    assert contents(folder) == contents(undisturbed)
    assert RunFolder(folder).manifest()["status"] == "finished"
    assert not list(folder.rglob(".*.tmp"))


def test_twenty_kills_at_random_points(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    folder, seconds = undisturbed
    random_point = random.Random(0)
    left = []
    for kill in range(KILLS):
        run = tmp_path / f"run-{kill}"
        child = start(run)
        child.join(random_point.uniform(0, seconds))
        child.kill()
        child.join()
        left.append(len(list(run.glob("shards/[0-9]*.parquet"))))
        check(run, folder)
    # The points were spread: some before the first commit, some behind it.
    assert min(left) == 0 < max(left)


def test_a_run_that_is_killed_over_and_over(
    undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    folder, seconds = undisturbed
    random_point = random.Random(1)
    run = tmp_path / "run"
    for _ in range(6):
        child = start(run)
        child.join(random_point.uniform(0.2, 0.8) * seconds)
        child.kill()
        child.join()
    check(run, folder)


def damage(run: Path, some: random.Random) -> None:
    """Remove, cut off or exchange a few files of a run."""
    pictures = sorted(run.glob("inputs/*")) + sorted(run.glob("counterfactuals/*"))
    for path in some.sample(pictures, min(5, len(pictures))):
        how = some.choice(["remove", "cut", "exchange"])
        if how == "remove":
            path.unlink()
        else:
            source = path if how == "cut" else some.choice(pictures)
            if source.exists():
                path.write_bytes(source.read_bytes()[: 60 if how == "cut" else None])


def test_twenty_kills_during_a_repair(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    folder, seconds = undisturbed
    some = random.Random(2)
    run = Path(shutil.copytree(folder, tmp_path / "run"))
    for _ in range(KILLS):
        damage(run, some)
        child = start(run)
        child.join(some.uniform(0, seconds))
        child.kill()
        child.join()
    damage(run, some)
    check(run, folder)
    assert not list(damages(RunFolder(run)))
    assert main(["check", str(run)]) == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_continue(
    undisturbed: tuple[Path, float], tmp_path: Path, how: signal.Signals
) -> None:
    folder, _ = undisturbed
    run = tmp_path / "run"
    child = start(run)
    while child.is_alive() and not list(run.glob("shards/[0-9]*.parquet")):
        time.sleep(0.005)
    os.kill(child.pid or 0, how)
    child.join()
    assert RunFolder(run).manifest()["status"] in ("interrupted", "running", "finished")
    check(run, folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 KiB; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(
    undisturbed: tuple[Path, float], small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = small_disk / "run"
    (small_disk / "other").write_bytes(b"x" * 60_000)
    assert main(command(run)) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.endswith(f"{run}: no space left; free some, then the same command continues")
    (small_disk / "other").unlink()
    larger = ["mount", "-o", "remount,size=16m", str(small_disk)]
    subprocess.run(larger, check=True)
    check(run, undisturbed[0])
