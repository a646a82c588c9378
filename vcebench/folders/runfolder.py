"""A run folder as its readers see it.

manifest.json · inputs/ID.png · counterfactuals/ID.png · masks/ID.png · regions/ID.png ·
truths/ID.png · originals/ID.png (the data set's own image, of an import) ·
trace/ID.safetensors · shards/NNNNN.parquet (one, and a copy of it, of a finished run) ·
contact-sheet.png · metrics.parquet · metrics.json ·
per-image.parquet · judged/NAME/metrics.json, … ·
evaluated/KEY.block (what this user's evaluations found in a chunk of images)

Readers take it for a stranger's: files are reached through `inside` alone, a manifest has to fit
its own hash, rows their manifest, pictures the digests in their rows.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vcebench.errors import UserError, one_line
from vcebench.folders import inside
from vcebench.folders.digests import content_digest
from vcebench.folders.images import Codec, decode, decode_masks, decode_region
from vcebench.folders.manifest import (
    check_belonging,
    one_ending,
    parse_manifest,
    parse_metrics,
)
from vcebench.folders.rows import Row, from_table
from vcebench.folders.tables import read_metadata, read_table
from vcebench.settings.config import RunConfig, build_config

MANIFEST = "manifest.json"
SHARDS = "shards"
METRICS = "metrics.json"
JUDGED = "judged"
"""Folder of the evaluations by other judges than the explained classifier, one folder each."""

PER_IMAGE = "per-image.parquet"
KINDS = ("inputs", "counterfactuals", "masks", "regions", "truths", "originals", "trace")
"""Folders of an image's files; those of the first two have the run's image format."""

_Content = TypeVar("_Content")


class DamagedFileError(UserError):
    """A stored file that is missing, damaged, or another one than its row was stored with."""

    def __init__(self, folder: Path, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f"{folder / name} {reason}; the run's own `vcebench run` command makes such files "
            f"again, `vcebench check {folder}` lists them"
        )


@dataclass(frozen=True)
class RunFolder:
    """Paths and contents of a run folder; reading never changes it."""

    path: Path
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The run folder at `path`; raises `UserError` if there is none."""
        if not inside.exists(path, MANIFEST):
            raise UserError(f"{path} is not a run folder: it has no {MANIFEST}; give another path")
        return cls(path)

    def manifest(self) -> dict[str, Any]:
        """The manifest, read once for as long as it stays the same file.

        Raises `UserError` if it cannot be read or lacks entries.
        """
        return self._manifest()[0]

    def config(self) -> RunConfig:
        """The configuration the run was made with; raises `UserError` if it is not its hash's."""
        return self._manifest()[1]

    def _manifest(self) -> tuple[dict[str, Any], RunConfig]:
        path = self.path / MANIFEST
        try:
            with inside.opened(self.path, MANIFEST) as file:
                facts = os.fstat(file.fileno())
                seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
                if self._known.get(MANIFEST, (None,))[0] != seen:
                    self._known[MANIFEST] = seen, _understood(file.read(), path)
        except (OSError, ValueError, RecursionError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"{path} cannot be read ({one_line(error)}); restore it or remove the folder"
            ) from error
        found: tuple[dict[str, Any], RunConfig] = self._known[MANIFEST][1]
        return found

    def network_digest(self, role: str) -> str | None:
        """SHA-256 of the network that a run had in a role; None if the manifest names none."""
        facts = self.manifest()["networks"].get(role)
        return None if facts is None else facts["sha256"]

    def codec(self) -> Codec:
        """How the images of this run are stored."""
        return Codec(self.config().image_format)

    def shards(self) -> list[Path]:
        """Committed shards, in order."""
        names = inside.names(self.path, SHARDS)
        return [self.path / SHARDS / name for name in names if _SHARD.fullmatch(name)]

    def rows(self) -> list[Row]:
        """All finished rows in the order of the data set.

        Raises `UserError` if a shard is damaged, or is another run's.
        """
        rows: dict[str, Row] = {}
        for shard in self.shards():
            rows.update((row.id, row) for row in self.rows_of(shard.name))
        return sorted(rows.values(), key=lambda row: row.index)

    def rows_of(self, shard: str) -> list[Row]:
        """The rows of one shard.

        Raises:
            DamagedFileError: (a UserError) it cannot be read.
            UserError: it belongs to another run.
        """
        with self._of_this_run(shard) as (name, check):
            table = read_table(self.path, name)
            rows = from_table(table)
            check(table.schema.metadata)
        return rows

    def check_rows(self) -> None:
        """Raise what `rows` would raise about rows of another run, without reading any row."""
        for shard in self.shards():
            with self._of_this_run(shard.name) as (name, check):
                check(read_metadata(self.path, name))

    @contextmanager
    def _of_this_run(self, shard: str) -> Iterator[tuple[str, Callable[[Any], None]]]:
        """Name of a shard within the folder, and what checks its metadata; errors as `rows_of`."""
        name, manifest = f"{SHARDS}/{shard}", self.manifest()

        def check(metadata: Any) -> None:
            try:
                check_belonging(metadata, manifest)
            except ValueError as error:
                raise UserError(
                    f"{self.path / name} cannot be used ({error}); put the right one in its place"
                ) from error

        try:
            yield name, check
        except (OSError, ValueError, pa.ArrowException) as error:
            if isinstance(error, UserError):
                raise
            reason = f"cannot be read ({one_line(error)})"
            raise DamagedFileError(self.path, name, reason) from error

    def per_image(self) -> dict[str, dict[str, float]]:
        """Image id → metric id → value, of the last evaluation; empty if there was none.

        Raises `UserError` if the file cannot be read.
        """
        if not inside.exists(self.path, PER_IMAGE):
            return {}
        try:
            records = read_table(self.path, PER_IMAGE).to_pylist()
            return {
                str(record.pop("id")): {k: float(v) for k, v in record.items() if _finite(v)}
                for record in records
            }
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"{self.path / PER_IMAGE} cannot be read ({one_line(error)}); "
                f"run vcebench evaluate {self.path}"
            ) from error

    def metrics_files(self) -> list[str]:
        """Names of the files of metrics: of the whole run, and of its first images."""
        names = inside.names(self.path, ".")
        return [name for name in names if name.startswith("metrics") and name.endswith(".json")]

    def judges(self) -> list[str]:
        """Names of the evaluations by other judges."""
        names = inside.names(self.path, JUDGED)
        return [name for name in names if inside.exists(self.path, f"{JUDGED}/{name}/{METRICS}")]

    def metrics(self, name: str = METRICS) -> dict[str, Any] | None:
        """The entries of a file of metrics; None if there is none.

        Raises `UserError` if it cannot be read, is another run's, or has figures by another
        classifier than the one that the run explains, or than the judge of its folder.
        """
        if not inside.exists(self.path, name):
            return None
        manifest = self.manifest()
        folder, _, rest = name.partition("/")
        judge = rest.partition("/")[0] if folder == JUDGED else None
        try:
            return parse_metrics(inside.read(self.path, name), manifest, judge)
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(
                f"{self.path / name} cannot be read ({one_line(error)}); "
                f"run vcebench evaluate {self.path}"
            ) from error

    def name(self, kind: str, image_id: str) -> str:
        """Path within the folder of a file of an image; `kind` is one of `KINDS`."""
        ending = self.codec().suffix if kind in KINDS[:2] else ".png"
        name = f"{kind}/{image_id}{'.safetensors' if kind == 'trace' else ending}"
        return one_ending(name) if self.manifest().get("one_ending") else name

    def has(self, kind: str, row: Row) -> bool:
        """Whether an image has a file of that kind: its row says so, or (old runs) it is there."""
        if row.files_sha256 is not None:
            return kind in row.files_sha256
        return inside.exists(self.path, self.name(kind, row.id))

    def files(self, row: Row) -> list[str]:
        """Paths within the folder of an image's files; those it must have are always named."""
        must = KINDS[:2] if row.finite else KINDS[:1]
        return [self.name(k, row.id) for k in KINDS if k in must or self.has(k, row)]

    def content(self, kind: str, row: Row) -> bytes:
        """Content of a file of an image; raises `DamagedFileError` if it is not that of its row."""
        name = self.name(kind, row.id)
        try:
            content = inside.read(self.path, name)
        except OSError as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else one_line(error)
            raise DamagedFileError(self.path, name, reason) from error
        known = None if row.files_sha256 is None else row.files_sha256.get(kind)
        if known is not None and known != content_digest(content):
            raise DamagedFileError(self.path, name, "is not the file its row was stored with")
        return content

    def image(self, kind: str, row: Row) -> Tensor:
        """A stored image, uint8 with shape (3, H, W); see `content`."""
        found = self._decoded(kind, row, decode)
        self._check_size(kind, row, (found.shape[1], found.shape[2]))
        return found

    def images(self, kind: str, rows: Sequence[Row]) -> Tensor:
        """Stored images of some rows, uint8 with shape (n, 3, H, W); see `content`."""
        return torch.stack([self.image(kind, row) for row in rows])

    def masks(self, row: Row) -> tuple[Tensor, Tensor] | None:
        """Last (M^z, M^x) of an image, boolean (H, W); None if the method has none."""
        if not self.has("masks", row):
            return None
        outer, inner = self._decoded("masks", row, decode_masks)
        self._check_size("masks", row, (outer.shape[0], outer.shape[1]))
        return outer, inner

    def region(self, row: Row) -> Tensor | None:
        """Where an image was allowed to change, boolean (H, W); None if everywhere."""
        if not self.has("regions", row):
            return None
        found = self._decoded("regions", row, decode_region)
        self._check_size("regions", row, (found.shape[0], found.shape[1]))
        return found

    def trace(self, row: Row) -> dict[str, Tensor]:
        """The stored steps of an image, see `content`.

        "index" is (steps,); "x_t" (steps, 3, H, W), "z" in the space of the method's walk (x_t
        again where that holds no pictures), and "mask_z", "mask_x" boolean (steps, 1 or 3, H, W).
        """
        return self._decoded("trace", row, _decode_trace)

    def _decoded(self, kind: str, row: Row, decode: Callable[[bytes], _Content]) -> _Content:
        """What a file of an image holds; see `content`."""
        content = self.content(kind, row)
        try:
            return decode(content)
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            name = self.name(kind, row.id)
            raise DamagedFileError(self.path, name, f"is damaged ({one_line(error)})") from error

    def _check_size(self, kind: str, row: Row, size: tuple[int, int]) -> None:
        """All pictures of a run have one size, (H, W)."""
        usual: tuple[int, int] = self._known.setdefault("size", size)
        if size != usual:
            raise DamagedFileError(
                self.path,
                self.name(kind, row.id),
                f"has {size[1]}x{size[0]} pixels, others of the run {usual[1]}x{usual[0]}",
            )


_SHARD = re.compile(r"\d{1,9}\.parquet", re.ASCII)
_SEED = re.compile(r"seed-(\d{1,18})", re.ASCII)


def seed_folders(path: Path) -> list[Path]:
    """The run folders seed-0, seed-1, … inside a folder, in their order."""
    named = ((name, _SEED.fullmatch(name)) for name in inside.names(path, "."))
    found = {
        int(match[1]): path / name
        for name, match in named
        if match and inside.exists(path, f"{name}/{MANIFEST}")
    }
    return [found[seed] for seed in sorted(found)]


def _understood(content: bytes, path: Path) -> tuple[dict[str, Any], RunConfig]:
    """A manifest and its configuration."""
    manifest = parse_manifest(content)
    config = build_config(**manifest["config"])
    if config.digest() != manifest["config_hash"]:
        raise UserError(
            f"{path} does not fit its own hash: its configuration was changed by hand, or comes "
            "from another run; restore it"
        )
    return manifest, config


def _decode_trace(content: bytes) -> dict[str, Tensor]:
    """The tensors of a trace; raises ValueError or KeyError unless they fit each other."""
    steps = safetensors.torch.load(content)
    x_t, masks = steps["x_t"], (steps["mask_z"], steps["mask_x"])
    count, size = len(x_t), x_t.shape[2:]
    fits = (
        steps["index"].shape == (count,)
        and x_t.ndim == steps["z"].ndim == 4
        and x_t.is_floating_point()
        and x_t.shape[1] == 3
        and len(steps["z"]) == count > 0
        and all(m.ndim == 4 and m.shape[2:] == size and len(m) == count for m in masks)
        and all(m.dtype == torch.bool for m in masks)
    )
    if not fits:
        raise ValueError("its tensors do not fit each other")
    return steps


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)
