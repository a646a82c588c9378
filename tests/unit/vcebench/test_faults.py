"""A run that is struck while it writes: one line, nothing lost, and the same call continues."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vcebench.errors import UserError
from vcebench.evaluating.evaluation import evaluate
from vcebench.folders import inside
from vcebench.folders.runfolder import RunFolder
from vcebench.models.bundle import Bundle

Run = Callable[..., RunFolder]
ASKED: dict[str, Any] = {"limit": 4, "batch_size": 2}
KINDS = ("inputs", "counterfactuals", "masks")


def files(folder: RunFolder) -> dict[str, bytes]:
    return {
        f"{kind}/{path.name}": path.read_bytes()
        for kind in KINDS
        for path in sorted((folder.path / kind).iterdir())
    }


def results(folder: RunFolder) -> list[dict[str, Any]]:
    return [{**vars(row), "seconds": 0} for row in folder.rows()]


def fail_from(write: int, code: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the disk refuse everything from that write on, half of it done; names what was written.

    Writes are the manifest, the images one by one, and the shards.
    """
    written: list[str] = []

    class Disk(io.BufferedWriter):
        def write(self, content: Any) -> int:
            if len(written) >= write:
                super().write(content[: len(content) // 2])
                raise OSError(code, os.strerror(code))
            written.append(os.readlink(f"/proc/self/fd/{self.fileno()}"))
            return super().write(content)

    def fdopen(number: int, mode: str = "r", *others: Any, **more: Any) -> Any:
        disk = mode == "wb" and not others and not more
        return Disk(io.FileIO(number, mode)) if disk else plain(number, mode, *others, **more)

    plain = os.fdopen
    monkeypatch.setattr(inside.os, "fdopen", fdopen)
    return written


@pytest.fixture
def undisturbed(tiny_run: Run) -> RunFolder:
    return tiny_run("undisturbed", **ASKED)


@pytest.mark.parametrize("write", [0, 1, 2, 3, 7, 8, 9, 12, 15, 16])
def test_a_full_disk_at_any_write(
    tiny_run: Run,
    undisturbed: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: int,
) -> None:
    with monkeypatch.context() as patch:
        fail_from(write, errno.ENOSPC, patch)
        with pytest.raises(UserError, match="no space left; free some, then the same") as error:
            tiny_run("full", **ASKED)
    assert "\n" not in str(error.value)
    kept = {row.id: row for row in RunFolder(tmp_path / "full").rows()}
    continued = tiny_run("full", **ASKED)
    assert results(continued) == results(undisturbed)
    assert files(continued) == files(undisturbed)
    # What had been committed was not made again: its time is still the first one's.
    assert all(row == kept[row.id] for row in continued.rows() if row.id in kept)


def test_the_writes_of_a_run_are_those_the_test_above_goes_through(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = fail_from(10**6, errno.ENOSPC, monkeypatch)
    tiny_run("run", **ASKED)
    assert 16 < len(written) < 30
    assert sum(name.endswith(".parquet.tmp") for name in written) >= 2


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
def test_other_refusals_of_the_disk_are_one_line(
    tiny_run: Run, undisturbed: RunFolder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with monkeypatch.context() as patch:
        fail_from(4, code, patch)
        with pytest.raises(UserError, match=r"cannot be written|no space left") as error:
            tiny_run("refused", **ASKED)
    assert "\n" not in str(error.value)
    assert files(tiny_run("refused", **ASKED)) == files(undisturbed)


def test_a_full_disk_under_the_features_is_one_line(
    tiny_run: Run, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, start: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tiny_run("run", **ASKED)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(UserError, match="no space left for features; free some or set TMPDIR"):
            evaluate(folder, bundle)
    assert evaluate(folder, bundle).images == 4
