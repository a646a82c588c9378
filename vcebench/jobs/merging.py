"""Joins the shards of a run to the folder an undivided run would have made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcebench.errors import UserError
from vcebench.folders import inside
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import MANIFEST, RunFolder
from vcebench.folders.store import Finished, identity, open_store, writing
from vcebench.jobs.session import run_folders
from vcebench.running.shards import undivided_folder
from vcebench.settings.config import differences

_CHUNK = 64


@dataclass(frozen=True)
class _Shard:
    """A shard's folder, manifest and rows, read once."""

    folder: RunFolder
    manifest: dict[str, Any]
    rows: list[Row]

    @property
    def number(self) -> int:
        return int(self.manifest["config"]["shard"][0])

    @property
    def of(self) -> int:
        return int(self.manifest["config"]["shard"][1])


def merge(paths: Sequence[Path], output: Path | None = None) -> tuple[Path, list[str]]:
    """Join shards; returns the run folder, and remarks on what a reader should know.

    The folder is made under another name and renamed when it is complete; stopped in between, the
    same call continues. A run that was merged from the same configuration already is left as it is.

    Args:
        paths: folders of all shards of a run, in any order.
        output: the run folder (default: the shards' name without their number).

    Raises:
        UserError: shards are missing, incomplete, of different configurations or given twice; or
            the folder exists and is another run.
    """
    if not paths:
        raise UserError("no shard is given; name their folders, e.g. runs/NAME-shard-*")
    output = output or undivided_folder(paths[0])
    groups = [{_inner(path, f): _read(f) for f in run_folders(path)} for path in paths]
    names = sorted({name for group in groups for name in group})
    for path, group in zip(paths, groups, strict=True):
        lacking = [name for name in names if name not in group]
        if lacking:
            raise UserError(f"{path} has no {lacking[0]}, which other shards have; run it again")
    runs = {name: [group[name] for group in groups] for name in names}
    manifests = {name: _manifest(shards) for name, shards in runs.items()}
    remarks = [line for shards in runs.values() for line in _remarks(shards)]
    if output.exists():
        _is_there(output, manifests)
        return output, remarks
    making = output.with_name(f".{output.name}.merging")
    for name, shards in runs.items():
        _write(making / name, shards, manifests[name])
    with writing(output):
        making.rename(output)
    return output, remarks


def _inner(path: Path, folder: RunFolder) -> str:
    """Name of a run within a shard's folder: "seed-3", or empty if it is the folder itself."""
    return "" if folder.path == path else folder.path.name


def _read(folder: RunFolder) -> _Shard:
    """A shard that is complete."""
    config = folder.config()
    if config.shard is None:
        raise UserError(f"{folder.path} is not a shard; name folders that --shard made")
    manifest, rows = folder.manifest(), folder.rows()
    skipped = {int(index) for index in manifest.get("skipped", {}) if index.isdecimal()}
    wanted = set(config.indices()) - skipped
    lacking = wanted - {row.index for row in rows}
    if lacking:
        raise UserError(
            f"{folder.path} lacks {len(lacking)} of {len(wanted)} images; "
            "its own command continues it"
        )
    strangers = {row.index for row in rows} - set(config.indices())
    if strangers:
        raise UserError(f"{folder.path} holds image {min(strangers)}, of another shard; remove it")
    return _Shard(folder, manifest, rows)


def _manifest(shards: Sequence[_Shard]) -> dict[str, Any]:
    """The merged run's manifest. Raises `UserError` if the shards are not those of one run."""
    first, *others = shards
    for other in others:
        lines = differences(_whole(first.manifest), _whole(other.manifest))
        if lines:
            raise UserError(
                f"{first.folder.path} and {other.folder.path} are not of one run "
                f"({'; '.join(lines)}); name the shards of one only"
            )
        if other.of != first.of:
            raise UserError(
                f"{first.folder.path} is one of {first.of} shards, {other.folder.path} one of "
                f"{other.of}; name those of one division"
            )
    numbers = [shard.number for shard in shards]
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise UserError(f"shard {twice} of {first.of} is given twice; name each folder once")
    lacking = [str(number) for number in range(first.of) if number not in numbers]
    if lacking:
        raise UserError(f"shards {', '.join(lacking)} of {first.of} are missing; name them too")
    ordered = sorted(shards, key=lambda shard: shard.number)
    skipped = {k: v for shard in ordered for k, v in shard.manifest.get("skipped", {}).items()}
    return {
        **first.manifest,
        "status": "finished",
        "config": {**first.manifest["config"], "shard": None},
        "networks": first.manifest["networks"],
        "sittings": [sitting for shard in ordered for sitting in shard.manifest["sittings"]],
        "skipped": dict(sorted(skipped.items(), key=lambda item: int(item[0]))),
        "shards": first.of,
    }


def _whole(manifest: dict[str, Any]) -> dict[str, Any]:
    """What all shards of a run have in common."""
    return {**identity(manifest), "shard": None, "protocol": manifest["protocol"]}


def _remarks(shards: Sequence[_Shard]) -> list[str]:
    """Bits are promised for one build: say so where shards were made by several."""
    lines = []
    for key in ("versions", "git_commit", "device"):
        found = {
            str(sitting.get(key)) for shard in shards for sitting in shard.manifest["sittings"]
        }
        if len(found) > 1:
            lines.append(f"the shards were made with different {key}: {' | '.join(sorted(found))}")
    return lines


def _is_there(output: Path, manifests: dict[str, dict[str, Any]]) -> None:
    """Refuse an existing folder unless it holds the same runs, complete."""
    for name, manifest in manifests.items():
        path = output / name
        if not inside.exists(path, MANIFEST):
            raise UserError(f"{output} exists and is not this run; give another --output")
        stored = RunFolder(path).manifest()
        lines = differences(_whole(stored), _whole(manifest))
        if lines or stored["config"].get("shard"):
            raise UserError(
                f"{output} exists and is another run ({'; '.join(lines) or 'a shard'}); "
                "give another --output"
            )
        if stored["status"] != "finished":
            raise UserError(f"{output} exists and is not finished; give another --output")


def _write(path: Path, shards: Sequence[_Shard], manifest: dict[str, Any]) -> None:
    """The merged run, image by image in the order of the data set."""
    owners = {row.id: shard.folder for shard in shards for row in shard.rows}
    rows = sorted((row for shard in shards for row in shard.rows), key=lambda row: row.index)
    if len(owners) < len(rows):
        raise UserError("an image is in two shards; make them again from one command")
    with open_store(path, manifest) as store:
        for start in range(0, len(rows), _CHUNK):
            chunk = [row for row in rows[start : start + _CHUNK] if row.id not in store.finished]
            store.commit([Finished(row, _contents(owners[row.id], row)) for row in chunk])
        store.finish()


def _contents(folder: RunFolder, row: Row) -> dict[str, bytes]:
    """Files of an image: path within the folder → content."""
    kinds = (name.partition("/")[0] for name in folder.files(row))
    return {folder.name(kind, row.id): folder.content(kind, row) for kind in kinds}
