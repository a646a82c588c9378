"""A temporary folder for features that do not have to fit into memory."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vcebench.errors import UserError


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed afterwards. Raises `UserError` if its disk is full."""
    try:
        with tempfile.TemporaryDirectory(prefix="vcebench-") as name:
            yield Path(name)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{tempfile.gettempdir()}: no space left for features; free some or set TMPDIR, "
            "then the same command continues"
        ) from error


def mapped_array(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A memory-mapped float32 array in a new file, with its space on disk.

    Without the space, a full disk would end the process (SIGBUS) when a page is written.
    """
    array: npt.NDArray[np.float32] = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, path.stat().st_size))
    return array
