"""Run folders as a stranger, a bad disk or a careless hand leaves them: mutations by a seed."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import settings
from PIL import Image

from vcebench.folders.digests import content_digest
from vcebench.folders.rows import Row
from vcebench.settings.config import build_config

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 3.5, 10**30, float("nan"), float("inf"), "", "x", "../../secret"),
    *("/etc/passwd", "os:system", "\ud800", "<script>alert(1)</script>", "a\nb", [], {}),
    *([[[]]], {"a": {"b": None}}, ["x"] * 3, "9" * 5000, "猫" * 300, {"factory": "os:system"}),
)

Mutation = Callable[[Path, random.Random], None]


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in nested lists and mappings."""
    found = [here] if here else []
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        found += _paths(inner, (*here, key))
    return found


def _put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    if new is _GONE:
        del value[path[-1]]
    else:
        value[path[-1]] = new


class _Gone:
    """Stands for an entry that is taken away; a copy of it is itself."""

    def __deepcopy__(self, memo: object) -> _Gone:
        return self


_GONE = _Gone()


def _lies_in(path: Path, run: Path) -> bool:
    """Whether a mutation may write there: earlier ones may have laid links that lead out."""
    return path.resolve().is_relative_to(run.resolve())


def _json(name: str) -> Mutation:
    def change(run: Path, some: random.Random) -> None:
        """One to three entries of a JSON file; of a manifest often with a hash that fits again."""
        if not _lies_in(run / name, run):
            return
        try:
            content = json.loads((run / name).read_text())
        except (OSError, ValueError):
            return
        for _ in range(some.randint(1, 3)):
            paths = _paths(content)
            if paths:
                _put(content, some.choice(paths), deepcopy(some.choice([_GONE, *VALUES])))
        if name == "manifest.json" and isinstance(content, dict) and some.random() < 0.7:
            with suppress(KeyError, TypeError, ValueError, RecursionError):
                content["config_hash"] = build_config(**content["config"]).digest()
        (run / name).write_text(json.dumps(content))

    return change


def _bytes(run: Path, some: random.Random) -> None:
    """Some bytes of some file."""
    path = some.choice(sorted(p for p in run.rglob("*") if p.is_file() and not p.is_symlink()))
    content = bytearray(path.read_bytes())
    at = some.randrange(len(content) + 1)
    how = some.choice(["cut", "flip", "insert", "empty", "double"])
    if how == "cut":
        del content[at:]
    elif how == "flip" and content:
        content[at % len(content)] ^= 1 << some.randrange(8)
    elif how == "insert":
        content[at:at] = some.choice([b"\0" * 9, b"\xff\xfe", b"{}", b"PAR1", b"IDAT"])
    elif how == "empty":
        content.clear()
    else:
        content += content[: at + 1]
    path.unlink()
    path.write_bytes(content)


def _row(run: Path, some: random.Random) -> None:
    """A value of a row, or a column of the shard; digests of files sometimes made to fit."""
    shard = run / "shards" / some.choice(sorted(p.name for p in (run / "shards").iterdir()))
    if not _lies_in(shard, run):
        return
    try:
        table = pq.read_table(shard)
    except (OSError, ValueError, pa.ArrowException):
        return
    name = some.choice(table.column_names)
    how = some.choice(["value", "value", "value", "drop", "rename", "type", "metadata", "many"])
    if how == "drop":
        table = table.drop_columns([name])
    elif how == "rename":
        table = table.rename_columns([f"{c}x" if c == name else c for c in table.column_names])
    elif how == "metadata":
        value = some.choice([b"", b"\xff", b"0" * 64])
        key = some.choice([b"vcebench.config", b"vcebench.manifest", b"other"])
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), key: value})
    elif how == "many":
        table = pa.concat_tables([table] * some.choice([2, 300]))
    else:
        table = _with_value(table, name, how == "type", some)
    pq.write_table(table, shard)


def _with_value(table: pa.Table, name: str, other: bool, some: random.Random) -> pa.Table:
    records = table.to_pylist(maps_as_pydicts="lossy")
    if not records:
        return table
    ids = ("../../secret", "..", "", "a/b", "\0", "x" * 400, "<img src=x>", "a\nb", "猫")
    numbers = (-1, 2, 7, 10**6, 2**62)
    usual: tuple[Any, ...] = ids if name == "id" else (*numbers, float("nan"), 1e300, None)
    record = some.choice(records)
    record[name] = some.choice(usual if some.random() < 0.8 else VALUES[:14])
    schema = None if other else table.schema
    try:
        return pa.Table.from_pylist(records, schema=schema).replace_schema_metadata(
            table.schema.metadata
        )
    except (pa.ArrowException, TypeError, ValueError, OverflowError, UnicodeEncodeError):
        return table


def _picture(run: Path, some: random.Random) -> None:
    """Another picture in the place of one, with the digest of its row made to fit, or not."""
    pictures = sorted(p for p in run.rglob("*.png") if p.parent != run and p.is_file())
    if not pictures:
        return
    path = some.choice(pictures)
    size = some.choice([(1, 1), (32, 32), (31, 33), (5000, 1), (7, 200)])
    mode = some.choice(["RGB", "RGB", "L", "RGBA", "1", "I;16", "P"])
    buffer = io.BytesIO()
    kind = some.choice(["PNG", "PNG", "GIF", "TIFF"])
    if kind == "GIF" and mode == "I;16":
        kind = "PNG"
    Image.new(mode, size).save(buffer, kind)
    path.unlink()
    path.write_bytes(buffer.getvalue())
    if some.random() < 0.7:
        _fit_digests(run)


def _fit_digests(run: Path) -> None:
    """Write the digests of the files that are there into the rows, as a forger would."""
    for shard in (run / "shards").iterdir():
        if not _lies_in(shard, run):
            continue
        try:
            table = pq.read_table(shard)
            rows = table.to_pylist(maps_as_pydicts="lossy")
            for row in rows:
                known = row.get("files_sha256") or {}
                row["files_sha256"] = {
                    kind: content_digest(next((run / kind).glob(f"{row['id']}.*")).read_bytes())
                    for kind in known
                }
            forged = pa.Table.from_pylist(rows, schema=table.schema)
        except (OSError, StopIteration, ValueError, TypeError, KeyError, pa.ArrowException):
            continue
        pq.write_table(forged, shard)


def _place(run: Path, some: random.Random) -> None:
    """Links, pipes, folders and strangers where files are expected; things that are gone."""
    things = sorted(p for p in run.rglob("*"))
    path = some.choice(things)
    outside = run.parent.parent / "outside"
    how = some.choice(["link", "folder link", "folder", "gone", "stranger", "lost and linked"])
    if how == "stranger":
        if not _lies_in(path, run):
            return
        (path if path.is_dir() else path.parent).joinpath(some.choice(STRANGERS)).write_bytes(b"x")
        return
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if how == "link":
        path.symlink_to(outside / "secret.png")
    elif how == "folder link":
        path.symlink_to(outside)
    elif how == "folder":
        path.mkdir()
    elif how == "lost and linked":
        path.symlink_to(run.parent.parent / "nowhere")


STRANGERS = ("00009.parquet", "seed-0", ".x.tmp", "seed-x", "metrics-first-9.json", "a.png")

MUTATIONS: tuple[Mutation, ...] = (
    _json("manifest.json"),
    _json("manifest.json"),
    _json("metrics.json"),
    _row,
    _row,
    _bytes,
    _picture,
    _place,
)


def how_many(full: int, part: int) -> int:
    """Folders to try: all of them with `--hypothesis-profile full` only, which takes long."""
    return full if settings.get_current_profile_name() == "full" else part


def outside_of(place: Path) -> Path:
    """What lies near a run folder and must be neither read nor written."""
    folder = place / "outside"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("secret.png", "secret", "manifest.json"):
        (folder / name).write_bytes(b"secret")
    return folder


def mutated(source: Path, place: Path, seed: int) -> Path:
    """A copy of a run folder with a few things changed; the same for the same seed."""
    some = random.Random(seed)
    run = place / "runs" / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(source, run)
    for _ in range(some.choice([1, 1, 2, 3])):
        try:
            some.choice(MUTATIONS)(run, some)
        except (FileNotFoundError, NotADirectoryError, IndexError):
            continue  # an earlier mutation took away what this one wants
    return run


def rows_are_sound(rows: list[Row]) -> bool:
    """What every reader may rely on."""
    return all(isinstance(row.id, str) and "/" not in row.id and row.index >= 0 for row in rows)
