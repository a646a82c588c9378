"""A run folder as its readers see it.

manifest.json · inputs/ID.png · counterfactuals/ID.png · masks/ID.png · truths/ID.png ·
originals/ID.png (the data set's own image, of an import) ·
trace/ID.safetensors · shards/NNNNN.parquet · contact-sheet.png · metrics.parquet · metrics.json ·
per-image.parquet
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import torch
from torch import Tensor

from vcebench.errors import UserError, one_line
from vcebench.folders.images import Codec, load_image, load_masks
from vcebench.folders.rows import Row, from_table
from vcebench.settings.config import RunConfig, build_config

MANIFEST = "manifest.json"
SHARDS = "shards"
PER_IMAGE = "per-image.parquet"


@dataclass(frozen=True)
class RunFolder:
    """Paths and contents of a run folder; reading never changes it."""

    path: Path

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The run folder at `path`; raises `UserError` if there is none."""
        if not (path / MANIFEST).is_file():
            raise UserError(f"{path} is not a run folder: it has no {MANIFEST}; give another path")
        return cls(path)

    def manifest(self) -> dict[str, Any]:
        """The manifest. Raises `UserError` if it cannot be read."""
        try:
            content: dict[str, Any] = json.loads((self.path / MANIFEST).read_text())
            _check_form(content)
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(
                f"{self.path / MANIFEST} cannot be read ({one_line(error)}); "
                "restore it or remove the folder"
            ) from error
        return content

    def config(self) -> RunConfig:
        """The configuration the run was made with."""
        return build_config(**self.manifest()["config"])

    def codec(self) -> Codec:
        """How the images of this run are stored."""
        return self._codec

    @cached_property
    def _codec(self) -> Codec:
        # Asked for with every image, and part of a run's identity, which never changes.
        return Codec(self.config().image_format)

    def shards(self) -> list[Path]:
        """Committed shards, in order."""
        return sorted((self.path / SHARDS).glob("[0-9]*.parquet"))

    def rows(self) -> list[Row]:
        """All finished rows in the order of the data set."""
        rows: dict[str, Row] = {}
        for shard in self.shards():
            try:
                found = from_table(pq.read_table(shard))
            except (OSError, ValueError, pa.ArrowException) as error:
                raise UserError(
                    f"{shard} cannot be read ({one_line(error)}); remove it and run again"
                ) from error
            rows.update((row.id, row) for row in found)
        return sorted(rows.values(), key=lambda row: row.index)

    def per_image(self) -> dict[str, dict[str, float]]:
        """Image id → metric id → value, of the last evaluation; empty if there was none.

        Raises `UserError` if the file cannot be read.
        """
        path = self.path / PER_IMAGE
        if not path.exists():
            return {}
        try:
            records = pq.read_table(path).to_pylist()
            return {
                record.pop("id"): {k: float(v) for k, v in record.items() if v is not None}
                for record in records
            }
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
            raise UserError(
                f"{path} cannot be read ({one_line(error)}); run vcebench evaluate {self.path}"
            ) from error

    def images(self, kind: str, rows: Sequence[Row]) -> Tensor:
        """Stored images of some rows, uint8 with shape (n, 3, H, W)."""
        suffix = ".png" if kind in ("truths", "originals") else self.codec().suffix
        paths = [self.path / kind / f"{row.id}{suffix}" for row in rows]
        return torch.stack([_read(path) for path in paths])

    def files(self, row: Row) -> list[str]:
        """Paths within the folder of an image's files; those it must have are always named."""
        suffix = self.codec().suffix
        names = [f"inputs/{row.id}{suffix}"]
        if row.finite:
            names.append(f"counterfactuals/{row.id}{suffix}")
        pictures = [f"{kind}/{row.id}.png" for kind in ("masks", "truths", "originals")]
        others = (*pictures, f"trace/{row.id}.safetensors")
        return names + [name for name in others if (self.path / name).exists()]

    def masks(self, image_id: str) -> tuple[Tensor, Tensor] | None:
        """Last (M^z, M^x) of an image, boolean (H, W); None if the method has none."""
        path = self.path / "masks" / f"{image_id}.png"
        return load_masks(path) if path.exists() else None


def _check_form(content: Any) -> None:
    """Raise ValueError unless a manifest's entries are of the kinds that readers rely on."""
    if not isinstance(content, dict):
        raise ValueError("it holds no entries")
    for name, kind in (("config", dict), ("networks", dict), ("sittings", list), ("skipped", dict)):
        if not isinstance(content.get(name, kind()), kind):
            raise ValueError(f"{name} is of another form")
    if "config" not in content:
        raise ValueError("config is missing")
    if not all(isinstance(sitting, dict) for sitting in content.get("sittings", [])):
        raise ValueError("sittings is of another form")


def _read(path: Path) -> Tensor:
    try:
        return load_image(path)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises
        raise UserError(
            f"{path} is missing or damaged ({one_line(error)}); remove the run folder and run again"
        ) from error
