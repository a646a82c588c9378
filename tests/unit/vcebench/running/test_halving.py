"""Memory that runs out: batches are halved, and what was made so says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vcebench.errors import UserError
from vcebench.evaluating.evaluation import evaluate
from vcebench.folders.runfolder import RunFolder
from vcebench.methods.maskdime import MaskDiME
from vcebench.models.bundle import Bundle
from vcebench.running.halving import HalvingWorker, is_out_of_memory

Run = Callable[..., RunFolder]


def memory_for(rows: int, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
    """A device that holds so many rows."""
    explain = MaskDiME.explain
    full = error or torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    def limited(self: MaskDiME, x: torch.Tensor, *rest: Any, **others: Any) -> Any:
        if len(x) > rows:
            raise full
        return explain(self, x, *rest, **others)

    monkeypatch.setattr(MaskDiME, "explain", limited)


def test_the_batch_is_halved_until_it_fits(
    tiny_run: Run, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole = tiny_run("whole", limit=5, batch_size=4)
    assert all(row.batch_size is None for row in whole.rows())
    memory_for(1, monkeypatch)
    folder = tiny_run("small", limit=5, batch_size=4)
    said = capsys.readouterr().err
    assert "out of memory: going on with batches of 2" in said
    assert "out of memory: going on with batches of 1" in said
    rows, before = folder.rows(), whole.rows()
    assert [row.batch_size for row in rows] == [1] * 5
    assert [row.flipped for row in rows] == [row.flipped for row in before]
    equal = folder.images("counterfactuals", rows) == whole.images("counterfactuals", before)
    assert equal.float().mean() >= 0.999
    notes = evaluate(folder, bundle).notes
    assert any("5 of 5 images were made in batches of 1 instead of 4" in note for note in notes)
    assert not any("instead of" in note for note in evaluate(whole, bundle).notes)


def test_what_was_recorded_is_given_up_when_memory_runs_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Tried:
        batch_size, device, forgotten = 4, torch.device("cpu"), 0

        @property
        def recorder(self) -> Tried:
            return self

        def forget(self) -> None:
            self.forgotten += 1

    worker: Any = Tried()
    halving = HalvingWorker(worker)
    monkeypatch.setattr(halving, "_attempt", lambda part, rows, *rest: [0] if rows < 4 else None)
    assert halving.explain([0]) == [0]  # type: ignore[list-item]
    assert worker.forgotten == 1


def test_not_even_one_image_is_one_line(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_for(0, monkeypatch)
    with pytest.raises(UserError, match="does not hold one image; use --precision bf16"):
        tiny_run("run", limit=2, batch_size=2)
    assert RunFolder(tmp_path / "run").rows() == []


def test_other_errors_are_not_swallowed(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_for(0, monkeypatch, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        tiny_run("run", limit=2, batch_size=2)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.cuda.OutOfMemoryError("x"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (MemoryError("CUDA out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) == expected
