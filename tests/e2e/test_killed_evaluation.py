"""An evaluation that is killed again and again ends with the figures of an undisturbed one.

Children are forked from a process that has the package imported already, as in `test_faults`.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from vcebench.cli import main
from vcebench.evaluating import extraction
from vcebench.evaluating.remembering import FOLDER, forget
from vcebench.folders.runfolder import RunFolder

IMAGES, KILLS = 60, 20
RUN = ("run", "--method", "pgd", "--dataset", "digits", "--tau", "2", "--limit", str(IMAGES))

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    ["vcebench.cli", "vcebench.jobs.session", "vcebench.running.shards"]
)


def in_small_chunks(*arguments: str) -> int:
    """A command whose evaluations take one image at a time, so that there are many to interrupt."""
    extraction.CHUNK = 1
    return main([*arguments, "--threads", "1"])


def started(*arguments: str) -> ForkServerProcess:
    child = CHILDREN.Process(target=in_small_chunks, args=arguments)
    child.start()
    return child


def blocks(run: Path) -> int:
    return len(list((run / FOLDER).glob("*.block")))


def figures(run: Path) -> dict[str, Any]:
    """What an evaluation says; the run itself had no use for some of its networks."""
    document: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in document.items() if name != "networks"}


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    run = tmp_path / "run"
    started(*RUN, "--output", str(run)).join()
    expected = figures(run)
    assert forget(RunFolder(run)) == IMAGES
    for _ in range(KILLS):
        before = blocks(run)
        child = started("evaluate", str(run))
        while blocks(run) == before and child.is_alive():
            time.sleep(0.001)
        assert child.is_alive(), "it ended before it was killed"
        child.kill()
        child.join()
        assert blocks(run) > before
    assert blocks(run) < IMAGES
    (run / "metrics.json").unlink()
    started("evaluate", str(run)).join()
    assert figures(run) == expected
