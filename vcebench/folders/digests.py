"""SHA-256 digests that bind a run's rows to its images, its files and its manifest.

They find what was mixed up, damaged or changed by hand. They are no signature: whoever changes a
file on purpose can change the digest beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

CONFIG_KEY = b"vcebench.config"
MANIFEST_KEY = b"vcebench.manifest"


def input_digest(image: Tensor, label: int) -> str:
    """SHA-256 of an input: its shape, its pixels and its label.

    Args:
        image: uint8 with shape (3, H, W).
        label: the true class; below 0 for an unlabelled image.
    """
    digest = hashlib.sha256(f"{tuple(image.shape)} {image.dtype} {label}\n".encode())
    digest.update(image.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def content_digest(content: bytes) -> str:
    """Digest of a file's content."""
    return hashlib.sha256(content).hexdigest()


def file_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Kind of file → digest of its content, of an image's files (path within the folder → content).

    The kind is the folder within the run folder: "inputs", "counterfactuals", "masks", …
    """
    return {name.partition("/")[0]: content_digest(content) for name, content in files.items()}


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Digest of what of a manifest never changes: configuration, protocol and networks."""
    bound = {name: manifest[name] for name in ("config_hash", "protocol", "networks")}
    return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()


def belonging(manifest: Mapping[str, Any]) -> dict[bytes, bytes]:
    """What the metadata of a Parquet file with rows say of the run they belong to.

    `vcebench.config` is the configuration's hash, `vcebench.manifest` the digest of the manifest.
    """
    return {
        CONFIG_KEY: str(manifest["config_hash"]).encode(),
        MANIFEST_KEY: manifest_digest(manifest).encode(),
    }
