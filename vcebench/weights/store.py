"""The weights folder: imported files, their checksums, and originals left as they came.

ROOT/ID.safetensors     a checkpoint imported by `vcebench weights import`
ROOT/ID/FILE            or the distributed file, as it is (ID of the card, any file name)
ROOT/checksums.json     SHA-256 of what was imported: of the original and of the stored file
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vcebench.data.index import cache_root
from vcebench.folders.images import write_atomic
from vcebench.weights.cards import Card
from vcebench.weights.reading import read_state
from vcebench.weights.shipped import NetworkFileError, save_tensors, sha256

CHECKSUMS = "checksums.json"
ENVIRONMENT = "VCEBENCH_WEIGHTS"


def weights_root(folder: Path | None = None) -> Path:
    """The weights folder: the one given, $VCEBENCH_WEIGHTS, or ~/.cache/vcebench/weights."""
    if folder is not None:
        return folder
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser()
    return cache_root() / "weights"


@dataclass(frozen=True)
class Found:
    """A checkpoint in the weights folder; `imported` if it went through the import."""

    path: Path
    imported: bool


def locate(card: Card, root: Path) -> Found | None:
    """Where a checkpoint lies, None if it is not there.

    Raises NetworkFileError if several files lie in the card's folder, or one leads out of it.
    """
    stored = root / f"{card.id}.safetensors"
    if stored.is_file():
        return Found(stored, imported=True)
    folder = root / card.id
    if not folder.is_dir():
        return None
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    if len(files) > 1:
        names = ", ".join(p.name for p in files[:3])
        raise NetworkFileError(f"{folder} holds {len(files)} files ({names}, …); leave one")
    return Found(files[0], imported=False) if files else None


def advice(card: Card, root: Path) -> str:
    """What to fetch and where to put it, in one sentence."""
    known = f", SHA-256 {card.sha256_prefix}…" if card.sha256_prefix else ", checksum not published"
    return (
        f"{card.title} is missing: get {card.file} ({card.where}{known}), then "
        f"`vcebench weights import FILE --as {card.id}` or put it into {root / card.id}/"
    )


def verify(card: Card, found: Found, root: Path) -> str:
    """SHA-256 of a checkpoint file, compared with everything known of it.

    Raises NetworkFileError if it changed since its import, or is not the file its authors named.
    """
    status = found.path.stat()
    digest = _digest(str(found.path), status.st_mtime_ns, status.st_size)
    if found.imported:
        recorded = read_checksums(root).get(card.id, {}).get("stored_sha256")
        if recorded is not None and recorded != digest:
            raise NetworkFileError(
                f"{found.path} changed since its import (SHA-256 {digest[:12]}…, recorded "
                f"{recorded[:12]}…): import it again"
            )
    else:
        check_prefix(card, digest, found.path)
    return digest


def check_prefix(card: Card, digest: str, path: Path) -> None:
    """Refuse an original whose checksum contradicts its distributed name."""
    if not digest.startswith(card.sha256_prefix):
        raise NetworkFileError(
            f"{path} has SHA-256 {digest[:12]}…, {card.file} has {card.sha256_prefix}…: "
            "fetch it again"
        )


def import_file(path: Path, card: Card, root: Path) -> Path:
    """Verify a distributed file, store it as safetensors, record the checksums; returns the file.

    Raises NetworkFileError if the file is not the card's network; nothing is written then.
    """
    state = read_state(path, card)
    original = sha256(path)
    if path.suffix != ".safetensors":
        check_prefix(card, original, path)
    root.mkdir(parents=True, exist_ok=True)
    stored = root / f"{card.id}.safetensors"
    tensors = {key: value.contiguous() for key, value in state.items()}
    save_tensors(stored, tensors, {"vcebench-card": card.id})
    entry = {"file": path.name, "sha256": original, "stored_sha256": sha256(stored)}
    checksums = {**read_checksums(root), card.id: entry}
    write_atomic(root / CHECKSUMS, (json.dumps(checksums, indent=2) + "\n").encode())
    return stored


def read_checksums(root: Path) -> dict[str, dict[str, Any]]:
    """Card → what was recorded at its import; empty if nothing was imported."""
    path = root / CHECKSUMS
    if not path.is_file():
        return {}
    try:
        content: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except ValueError as error:
        raise NetworkFileError(f"{path} is damaged ({error}): remove it, import again") from error
    return content


@lru_cache(maxsize=64)
def _digest(path: str, modified: int, size: int) -> str:
    """SHA-256 of a file, once per process and state of the file."""
    return sha256(Path(path))
