"""A run in one file to hand over: rows, metrics, manifest and a few pictures, no classifier.

A pack is a zip archive with a list of the SHA-256 of everything in it. Reading one trusts nothing:
names, number, sizes and digests are checked before anything is written, and nothing is executed.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vcebench.errors import UserError, one_line
from vcebench.folders import inside
from vcebench.folders.images import write_atomic
from vcebench.folders.runfolder import MANIFEST, PER_IMAGE, SHARDS, RunFolder
from vcebench.folders.store import writing

LIST = "pack.json"
PICTURES = 16
LARGEST_FILE, LARGEST_PACK, MOST_FILES = 64 * 2**20, 256 * 2**20, 100_000
_KINDS = ("inputs", "counterfactuals", "masks", "truths", "originals")
_NAMES = re.compile(
    rf"(manifest\.json|metrics\.json|per-image\.parquet|{SHARDS}/\d{{5,7}}\.parquet|"
    rf"({'|'.join(_KINDS)})/[A-Za-z0-9_][\w.-]{{0,200}}\.(png|jpg))",
    re.ASCII,
)
_PRIVATE = ("command", "threads")


def pack(folder: RunFolder, output: Path) -> int:
    """Write a run's archive; returns its number of files.

    Paths of the machine are left out of the manifest.

    Raises:
        UserError: the run was not evaluated, a file is missing, or the archive cannot be written.
    """
    metrics = folder.metrics()
    if metrics is None:
        raise UserError(f"{folder.path} has no metrics; run vcebench evaluate {folder.path} first")
    rows = folder.rows()
    if not rows:
        raise UserError(f"{folder.path} holds no finished image; run it first")
    contents = {MANIFEST: _shareable(folder.manifest())}
    names = ["metrics.json", PER_IMAGE, *(f"{SHARDS}/{path.name}" for path in folder.shards())]
    names += [name for row in rows[:PICTURES] for name in folder.files(row)]
    for name in names:
        if not _NAMES.fullmatch(name):
            continue  # traces
        try:
            contents[name] = inside.read(folder.path, name)
        except OSError as error:
            raise UserError(f"{folder.path / name} is missing; run the command again") from error
    contents["metrics.json"] = json.dumps({**metrics, "run": folder.path.name}).encode()
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    with writing(output), tempfile.SpooledTemporaryFile(LARGEST_FILE) as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(LIST, json.dumps(listed, indent=1, sort_keys=True))
            for name, content in contents.items():
                archive.writestr(name, content)
        buffer.seek(0)
        write_atomic(output, buffer.read())
    return len(contents)


def _shareable(manifest: dict[str, Any]) -> bytes:
    """The manifest without what tells of the machine's folders."""
    sittings = [
        {key: value for key, value in sitting.items() if key not in _PRIVATE}
        for sitting in manifest.get("sittings", [])
    ]
    content = {**manifest, "data_root": None, "sittings": sittings}
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


_DAMAGED = (
    *(OSError, EOFError, RuntimeError, NotImplementedError, ValueError, LookupError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OverflowError, MemoryError),
)
"""What reading a damaged archive may end in."""


@contextmanager
def unpacked(path: Path) -> Iterator[RunFolder]:
    """The run folder in an archive, in a temporary place.

    Raises:
        UserError: it is no pack, or holds what a pack does not hold.
    """
    with tempfile.TemporaryDirectory(prefix="vcebench-") as place:
        try:
            with zipfile.ZipFile(path) as archive:
                _extract(archive, path, Path(place))
        except UserError:
            raise
        except _DAMAGED as error:
            raise UserError(f"{path} is no pack of a run ({one_line(error)})") from error
        yield RunFolder.existing(Path(place))


def _extract(archive: zipfile.ZipFile, path: Path, place: Path) -> None:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(names) > MOST_FILES or len(set(names)) != len(names) or LIST not in names:
        raise UserError(f"{path} is no pack of a run: its list of files is not that of one")
    if sum(info.file_size for info in infos) > LARGEST_PACK:
        raise UserError(f"{path} would unpack to more than {LARGEST_PACK // 2**20} MiB; refused")
    for info in infos:
        link = (info.external_attr >> 16) & 0o170000 == 0o120000
        fits = info.filename == LIST or _NAMES.fullmatch(info.filename)
        if link or not fits or info.file_size > LARGEST_FILE:
            raise UserError(f"{path} holds {info.filename!r}, which is no file of a run; refused")
    listed = _listed(_content(archive, LIST), path)
    if set(listed) != set(names) - {LIST}:
        raise UserError(f"{path} holds other files than its list says; refused")
    for name, digest in listed.items():
        content = _content(archive, name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(f"{path}: {name} is not the file that its list says; refused")
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member; the size in its header is the most that is read, and has to be right."""
    info = archive.getinfo(name)
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise UserError(f"{name} is larger than it says; refused")
    return content


def _listed(content: bytes, path: Path) -> dict[str, str]:
    try:
        listed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {LIST} cannot be read; refused") from error
    if not isinstance(listed, dict) or not all(isinstance(v, str) for v in listed.values()):
        raise UserError(f"{path}: {LIST} is no list of digests; refused")
    return listed
