"""Networks as single files: float16 safetensors with everything needed to rebuild them.

The file's metadata is one JSON document: the architecture's name, its configuration and a card
(measured figures, command, seed, versions). Weights are float16 on disk and float32 in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vcebench.models.small import build_network

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
    _write(path, tensors, architecture, config, card)


def load_network(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a network and its card; the network is float32, on the CPU, in evaluation mode.

    Raises NetworkFileError if the file is missing, damaged, of another format, holds NaN or
    infinite weights, or has other weights than its architecture.
    """
    tensors, architecture, config, card = _read(path)
    for key, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise NetworkFileError(f"{path}: weight {key} holds NaN or infinity; restore the file")
    module = build_network(architecture, config)
    try:
        module.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise NetworkFileError(f"{path} does not fit its architecture: {detail}") from error
    return module.eval().requires_grad_(False), card


def read_card(path: Path) -> dict[str, Any]:
    """The card alone, without the weights."""
    with _opened(path) as file:
        card: dict[str, Any] = _metadata(file, path)["card"]
    return card


def update_card(path: Path, **changes: Any) -> None:
    """Change entries of a card; the weights stay as they are, bit by bit."""
    tensors, architecture, config, card = _read(path)
    _write(path, tensors, architecture, config, card | changes)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], str, dict[str, Any], dict[str, Any]]:
    with _opened(path) as file:
        metadata = _metadata(file, path)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return tensors, metadata["architecture"], metadata["config"], metadata["card"]


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


def _write(
    path: Path,
    tensors: dict[str, Tensor],
    architecture: str,
    config: dict[str, Any],
    card: dict[str, Any],
) -> None:
    described = {"architecture": architecture, "config": config, "card": card}
    # One entry only: safetensors writes several in random order, and equal networks should be
    # equal files.
    metadata = {FORMAT: json.dumps(described, sort_keys=True)}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(tensors, name, metadata=metadata)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
