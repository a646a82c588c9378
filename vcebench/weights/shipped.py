"""Networks as single files: float16 safetensors with everything needed to rebuild them.

The file's metadata is one JSON document: the architecture's name, its configuration and a card
(measured figures, command, seed, versions). Weights are float16 on disk and float32 in memory.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FORMAT = "vcebench-network-1"


class NetworkFileError(ValueError):
    """A network file that is missing, damaged or does not fit; the message says what to do."""


def save_network(
    path: Path, module: nn.Module, architecture: str, config: dict[str, Any], card: dict[str, Any]
) -> None:
    """Write a network atomically, as float16.

    Args:
        path: target, usually NAME.safetensors; its folder must exist.
        module: network whose state is stored; it must be what `build_network(architecture,
            config)` builds.
        card: JSON-serialisable facts about the network.

    Raises NetworkFileError if a weight is not a finite float16 number.
    """
    tensors: dict[str, Tensor] = {}
    for key, value in module.state_dict().items():
        half = value.detach().to("cpu", torch.float16).contiguous()
        if not bool(torch.isfinite(half).all()):
            raise NetworkFileError(f"{key} is not finite in float16: {path.name} was not written")
        tensors[key] = half
    _write(path, StoredNetwork(tensors, architecture, config, card))


@dataclass(frozen=True)
class StoredNetwork:
    """What a network file holds: float16 tensors by key, and what rebuilds and describes them."""

    tensors: dict[str, Tensor]
    architecture: str
    config: dict[str, Any]
    card: dict[str, Any]


def read_network(path: Path) -> StoredNetwork:
    """Read a network file.

    Raises NetworkFileError if it is missing, damaged, of another format, or holds NaN or infinite
    weights.
    """
    stored = _read(path)
    for key, value in stored.tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise NetworkFileError(f"{path}: weight {key} holds NaN or infinity; restore the file")
    return stored


def read_card(path: Path) -> dict[str, Any]:
    """The card alone, without the weights."""
    with _opened(path) as file:
        card: dict[str, Any] = _metadata(file, path)["card"]
    return card


def update_card(path: Path, **changes: Any) -> None:
    """Change entries of a card; the weights stay as they are, bit by bit."""
    stored = _read(path)
    _write(path, dataclasses.replace(stored, card=stored.card | changes))


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> StoredNetwork:
    with _opened(path) as file:
        metadata = _metadata(file, path)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return StoredNetwork(tensors, metadata["architecture"], metadata["config"], metadata["card"])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except FileNotFoundError as error:
        raise NetworkFileError(f"{path} is missing") from error
    except (SafetensorError, OSError) as error:
        raise NetworkFileError(f"{path} cannot be read as safetensors: {error}") from error


def _metadata(file: Any, path: Path) -> dict[str, Any]:
    metadata: dict[str, str] = file.metadata() or {}
    if FORMAT not in metadata:
        raise NetworkFileError(f"{path} is not a network file of this package ({FORMAT})")
    described: dict[str, Any] = json.loads(metadata[FORMAT])
    return described


def _write(path: Path, network: StoredNetwork) -> None:
    described = {
        "architecture": network.architecture,
        "config": network.config,
        "card": network.card,
    }
    # One entry only: safetensors writes several in random order, and equal networks should be
    # equal files.
    metadata = {FORMAT: json.dumps(described, sort_keys=True)}
    save_tensors(path, network.tensors, metadata)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file under a temporary name, then rename it into place."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(tensors, name, metadata=metadata)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
