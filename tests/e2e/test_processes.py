"""One process for every GPU of a machine; processes on a CPU stand for them here."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.running import runner
from vcebench.running.assemble import networks_of
from vcebench.running.engines import local
from vcebench.running.engines.local import Local
from vcebench.running.engines.processes import ProcessEngine
from vcebench.settings.request import Request, resolve

SHORT = Request("maskdime", "digits", limit=4, batch_size=2, settings={"tau": 2}, device="cpu")


def made(folder: RunFolder) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Rows without what a clock decides, and all pictures."""
    kinds = ("inputs", "counterfactuals", "masks")
    files = {f"{k}/{p.name}": p.read_bytes() for k in kinds for p in (folder.path / k).iterdir()}
    return [{**vars(row), "seconds": 0} for row in folder.rows()], files


def test_processes_make_the_same_rows_and_bytes(tmp_path: Path) -> None:
    config, images = resolve(SHORT)
    bundle = networks_of(config, metrics=False)
    one = runner.run(config, images, tmp_path / "one", bundle, 1)
    several = runner.run(
        config, images, tmp_path / "several", bundle, launch=lambda *run: ProcessEngine(run[0], 2)
    )
    assert made(several) == made(one)


def test_a_process_that_dies_is_one_line() -> None:
    config, images = resolve(SHORT)
    engine = ProcessEngine(config, 1)
    ladder = runner.Ladder(runner.pending(config, images, ()), [{"lambda_class": 8.0}], 2)
    engine.submit(ladder.next_batch())
    (process,) = engine._pool._processes.values()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(UserError, match=r"a worker process died .* the same command continues"):
        engine.collect()
    engine.close()


@pytest.mark.parametrize(("count", "several"), [(1, False), (2, True), (8, True)])
def test_the_local_engine_takes_all_gpus(count: int, several: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(local, "ProcessEngine", lambda config, count: count)
    monkeypatch.setattr(local, "LocalEngine", lambda *rest: "one")
    worker: Any = type("OnGPU", (), {"device": torch.device("cuda")})
    assert Local()(None, worker, lambda images: None) == (count if several else "one")  # type: ignore[arg-type]
