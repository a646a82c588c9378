"""The writing side of a run folder: lock, manifest, atomic commits, resume.

A batch's images are written first, then one Parquet shard with its rows under a temporary name; the
rename of that file is the commit. What was not committed is simply made again, byte for byte.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from vcebench.errors import UserError, user_errors
from vcebench.folders import inside, shards
from vcebench.folders.damage import damaged_files
from vcebench.folders.digests import file_digests
from vcebench.folders.inside import check_id
from vcebench.folders.manifest import one_ending
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import KINDS, MANIFEST, SHARDS, DamagedFileError, RunFolder
from vcebench.settings.config import RunConfig, differences
from vcebench.settings.request import needs_of

_LOCK = ".lock"
# What changes no image may differ between the sittings of a run.
_FREE = ("trace", "skip_bad", "masks")
_CODE = "code_sha256"


@dataclass(frozen=True)
class Finished:
    """One finished image: its row, and its files as path within the folder → content.

    The store writes the digests of the files into the row.
    """

    row: Row
    files: Mapping[str, bytes] = field(default_factory=dict)

    def with_digests(self) -> Finished:
        """The same with the digests of the files in its row.

        Raises UserError if the row knows other digests of them.
        """
        found = file_digests(self.files)
        if self.row.files_sha256 is not None and self.row.files_sha256 != found:
            raise UserError(
                f"the files of {self.row.id} are not those its row was stored with; "
                "make the run they come from again with its own command"
            )
        return replace(self, row=replace(self.row, files_sha256=found))


class RunStore:
    """A run folder held by this process; make one with `open_store`.

    Attributes:
        folder, manifest: see `RunFolder`.
        finished: id → row of the images that are there for good.
        damaged: id → row of images whose files are not what they should be; see `take_back`.
        copied: shards that could not be read and were put back from their copies.
        set_aside: shards that cannot be read: their rows are lost, their images made again.
        restored, changed: images made again, with the bytes of before and with others.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.folder = RunFolder(path)
        self.manifest = manifest
        self._next = 0
        self.finished: dict[str, Row] = {}
        self.damaged: dict[str, Row] = {}
        self.set_aside: list[DamagedFileError] = []
        self.copied: list[DamagedFileError] = []
        self.restored = self.changed = 0
        for shard in shards.names(self.folder):
            self._next = max(self._next, int(Path(shard).stem) + 1)
            self.finished.update((row.id, row) for row in self._rows_of(shard))

    def _rows_of(self, shard: str) -> list[Row]:
        """The rows of a shard, or of its copy; none if neither can be read: it is set aside."""
        try:
            return self.folder.rows_of(shard)
        except DamagedFileError as error:
            with writing(self.folder.path):
                try:
                    rows = shards.put_back(self.folder, shard)
                except DamagedFileError:
                    if inside.exists(self.folder.path, error.name):
                        inside.rename(self.folder.path, error.name, f"{shard}.damaged")
                    self.set_aside.append(error)
                    return []
            self.copied.append(error)
            return rows

    def take_back(self) -> list[DamagedFileError]:
        """Count images with a missing, damaged or exchanged file as not finished.

        Returns what was found. When such an image is committed again and its files have the bytes
        of before, only they are written and its row stays as it was.
        """
        found = list(damaged_files(self.folder, self.finished.values()))
        for damage in found:
            if damage.row is not None:
                self.damaged[damage.row.id] = damage.row
                self.finished.pop(damage.row.id, None)
        return [damage.error for damage in found]

    def commit(self, results: Sequence[Finished]) -> None:
        """Store finished images; afterwards they are there for good, or (on an error) not at all.

        Raises UserError if the disk is full or the folder cannot be written, or if files are not
        those a row knows the digests of.
        """
        wanted = [r for r in results if r.row.id not in self.finished]
        checked = [self._restored(self._checked(r)) for r in wanted]
        new = [result.row for result in checked if result.row is not self._before(result)]
        with writing(self.folder.path):
            for result in checked:
                for name, content in result.files.items():
                    named = one_ending(name) if self.manifest.get("one_ending") else name
                    inside.write(self.folder.path, named, content)
            if new:
                shards.write(self.folder.path, self._next, new, self.manifest)
                self._next += 1
        for result in checked:
            before = self.damaged.pop(result.row.id, None)
            self.restored += result.row is before
            known = before is not None and before.files_sha256 is not None
            self.changed += known and result.row is not before
            self.finished[result.row.id] = result.row

    def _before(self, result: Finished) -> Row | None:
        """The row of an image that was taken back."""
        return self.damaged.get(result.row.id)

    def _restored(self, result: Finished) -> Finished:
        """The row and files of before, if an image that was taken back has its bytes again."""
        before, now = self._before(result), result.row.files_sha256 or {}
        if before is None or before.files_sha256 is None:
            return result
        if any(now.get(kind) != digest for kind, digest in before.files_sha256.items()):
            return result
        kept = {k: v for k, v in result.files.items() if k.partition("/")[0] in before.files_sha256}
        return Finished(before, kept)

    def _checked(self, result: Finished) -> Finished:
        """The result with its digests; ids are checked on writing as they are on reading."""
        with user_errors():
            check_id(result.row.id)
        return result.with_digests()

    def finish(self, **values: Any) -> None:
        """Put the rows into one shard, and say in the manifest that the run is finished."""
        with writing(self.folder.path):
            shards.join(self.folder, list(self.finished.values()), self.manifest)
        self.update(status="finished", **values)

    def update(self, **values: Any) -> None:
        """Change entries of the manifest."""
        self.manifest = {**self.manifest, **values}
        with writing(self.folder.path):
            _write_manifest(self.folder.path, self.manifest)


@contextmanager
def open_store(path: Path, manifest: Mapping[str, Any]) -> Iterator[RunStore]:
    """Hold the run folder at `path`, new or to be continued.

    Args:
        path: the folder; made if it is missing.
        manifest: what a new folder's manifest holds; must have "config" and "networks" (role →
            facts), which have to agree with those of an existing folder.

    Raises:
        UserError: the folder cannot be written, holds something else, belongs to a run with another
            configuration (the difference is shown), or another process works on it.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
    try:
        with writing(path):
            content = _agree(path, manifest)
            _remove_leftovers(path)
        yield RunStore(path, content)
    finally:
        lock.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line why a folder cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"{path}: no space left; free some, then the same command continues"
        else:
            text = f"{path} cannot be written ({error.strerror}); give another --output"
        raise UserError(text) from error


@contextmanager
def drafted(output: Path) -> Iterator[Path]:
    """A folder that takes its name when it is complete; on an error nothing is left of it.

    Raises UserError if there is something of that name, or it cannot be written.
    """
    if output.exists():
        raise UserError(f"{output} exists; remove it, or give another --output")
    draft = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    with writing(output):
        try:
            draft.mkdir(parents=True)
            yield draft
            draft.rename(output)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _lock(path: Path) -> IO[str]:
    """The open, locked lock file; the lock dies with the process, so that none is ever stale."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.fdopen(os.open(path / _LOCK, flags, 0o666), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = lock.read(20).strip() or "unknown"
        lock.close()
        raise UserError(
            f"{path} is in use by process {holder}; wait for it or give another --output"
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _agree(path: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The folder's manifest: the stored one if there is one and it agrees, else the new one."""
    if not inside.exists(path, MANIFEST):
        if any(not entry.name.startswith(".") for entry in path.iterdir()):
            raise UserError(f"{path} holds other files and no run; give another --output")
        _write_manifest(path, manifest)
        return dict(manifest)
    stored = RunFolder(path).manifest()
    before, after = identity(stored), identity(manifest)
    for role, facts in after["networks"].items():
        if _CODE not in before["networks"].get(role, {}):  # older runs do not know it
            facts.pop(_CODE, None)
    lines = differences(before, after)
    if any(_CODE in line for line in lines):
        raise UserError(
            f"{path} was made with other code of the classifier (the file it comes from changed); "
            "give another --output or put the file back as it was"
        )
    if lines:
        raise UserError(
            f"{path} was made with another configuration ({'; '.join(lines)}); "
            "give another --output or repeat the original command"
        )
    return stored


def identity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What of a manifest has to agree for a run to be continued.

    Fields that the version which made the folder did not know are at their defaults.
    """
    config = {**_defaults(), **manifest["config"]}
    config = {key: value for key, value in config.items() if key not in _FREE}
    # Networks that decide what the images are; all others may come and go.
    weight = config.get("guidance", {}).get("lambda_perceptual", 1.0)
    making = needs_of(str(config.get("method")), weight) | {"classifier"}
    networks = {k: v for k, v in manifest["networks"].items() if k in making}
    return json.loads(json.dumps({**config, "networks": networks}))  # type: ignore[no-any-return]


def _defaults() -> dict[str, Any]:
    """Plain fields of a configuration that need not be given, with their defaults."""
    fields = RunConfig.model_fields.items()
    return {
        name: field.default
        for name, field in fields
        if isinstance(field.default, bool | int | str | None)
    }


def _write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    inside.write_lasting(path, MANIFEST, text.encode())


def _remove_leftovers(path: Path) -> None:
    """Temporary files of a process that was killed."""
    for folder in (".", SHARDS, *KINDS):
        for name in inside.names(path, folder):
            if name.startswith(".") and name.endswith(".tmp"):
                inside.remove(path, f"{folder}/{name}")
