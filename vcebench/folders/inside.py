"""The one way to a file inside a run folder: it stays inside, follows no link, and reads no giant.

A run folder may come from a stranger. Names inside it come from Parquet files and manifests, and
what lies there may be a link to something else, a pipe, or a file that is larger than memory.
Folders are opened one inside the other without following links, so that nothing can be exchanged
between a check and its use.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vcebench.errors import UserError

_MIB = 1 << 20
LARGEST = {
    ".json": 64 * _MIB,
    ".png": 64 * _MIB,
    ".jpg": 64 * _MIB,
    ".parquet": 1024 * _MIB,
    ".copy": 1024 * _MIB,
    ".safetensors": 2048 * _MIB,
    ".block": 2048 * _MIB,
}
"""Largest file by its ending, in bytes; of other endings `_LARGEST`."""

_LARGEST = 1 * _MIB
_LONGEST_ID = 200
_PATH = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


def check_id(id: str) -> str:
    """The id of an image, if it can be a file's name in any folder; else ValueError."""
    bad = not id or id.startswith(".") or any(c in "/\\" or not c.isprintable() for c in id)
    if bad or len(id.encode("utf-8", "replace")) > _LONGEST_ID:
        raise ValueError(f"{id[:40]!r} is no id of an image: it cannot be the name of a file")
    return id


def exists(root: Path, name: str) -> bool:
    """Whether there is anything of that name inside a run folder, a link included."""
    try:
        with _folder(root, name) as (folder, last):
            os.stat(last, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def names(root: Path, folder: str) -> list[str]:
    """Names of what lies in a folder inside a run folder, in order; none if there is no folder."""
    try:
        with _folder(root, f"{folder}/.") as (opened, _):
            return sorted(os.listdir(opened))
    except (FileNotFoundError, NotADirectoryError):
        return []


class UnfitFileError(UserError):
    """Something that is no plain file, or too large."""


@contextmanager
def opened(root: Path, name: str, most: int | None = None) -> Iterator[BinaryIO]:
    """A plain file inside a run folder, for reading.

    Args:
        most: bytes that it may have (default: by its ending, see `LARGEST`).

    Raises:
        UnfitFileError: (a UserError) it is no plain file, or too large.
        UserError: it is a link, or the name leads out of the folder.
        OSError: it is missing, or cannot be read.
    """
    with _folder(root, name) as (folder, last):
        # Without O_NONBLOCK a pipe would keep us waiting.
        handle = _open(root, name, last, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK, folder)
    try:
        _check_file(root / name, os.fstat(handle), most)
    except UserError:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as file:
        yield file


def _check_file(path: Path, found: os.stat_result, most: int | None) -> None:
    most = LARGEST.get(path.suffix, _LARGEST) if most is None else most
    if not stat.S_ISREG(found.st_mode):
        raise UnfitFileError(f"{path} is no plain file; remove it")
    if found.st_size > most:
        raise UnfitFileError(
            f"{path} has {found.st_size / _MIB:,.1f} MiB, at most {most / _MIB:,.1f} are read; "
            "remove it"
        )


def read(root: Path, name: str, most: int | None = None) -> bytes:
    """Content of a file inside a run folder; see `opened`."""
    with opened(root, name, most) as file:
        return file.read()


def write(root: Path, name: str, content: bytes) -> None:
    """Write a file inside a run folder under a temporary name, then rename it into place.

    It may be lost if the power fails at once; see `write_lasting`.
    """
    _write(root, name, content, lasting=False)


def write_lasting(root: Path, name: str, content: bytes) -> None:
    """The same, flushed to disk before it is renamed: after it, the file is there for good."""
    _write(root, name, content, lasting=True)


def remove(root: Path, name: str) -> None:
    """Remove a file inside a run folder, or a link itself; it may be gone already."""
    with suppress(FileNotFoundError), _folder(root, name) as (folder, last):
        os.unlink(last, dir_fd=folder)


def rename(root: Path, name: str, last: str) -> None:
    """Give a file inside a run folder another name in the same folder."""
    with _folder(root, name) as (folder, first):
        os.rename(first, last, src_dir_fd=folder, dst_dir_fd=folder)


def _write(root: Path, name: str, content: bytes, lasting: bool) -> None:
    with _folder(root, name, make=True) as (folder, last):
        temporary = f".{last}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
        with suppress(FileNotFoundError):  # of a killed process, or a link laid there
            os.unlink(temporary, dir_fd=folder)
        try:
            with os.fdopen(os.open(temporary, flags, 0o666, dir_fd=folder), "wb") as file:
                file.write(content)
                if lasting:
                    file.flush()
                    os.fsync(file.fileno())
            os.rename(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise


@contextmanager
def _folder(root: Path, name: str, make: bool = False) -> Iterator[tuple[int, str]]:
    """The open folder that a name inside a run folder lies in, and the last part of the name."""
    parts = name.split("/")
    if any(part in ("", "..") or "\0" in part for part in parts):
        raise UserError(f"{name!r} leads out of {root}; remove what names it")
    here = os.open(root, _PATH)
    try:
        for part in parts[:-1]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            inner = _open(root, name, part, _PATH | _NO_LINK, here)
            os.close(here)
            here = inner
        yield here, parts[-1]
    finally:
        os.close(here)


def _open(root: Path, name: str, part: str, flags: int, folder: int) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except OSError as error:
        # A link to a folder is "not a directory" to some systems, "too many links" to others.
        linked = error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR) and stat.S_ISLNK(
            os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
        )
        if linked:
            raise UserError(
                f"{root / name} is a link, and none is followed out of a run folder; "
                "put the file itself there"
            ) from error
        error.filename = str(root / name)
        raise
