"""Digests that tell whether something is still what a run was made of."""

from __future__ import annotations

import hashlib

from torch import Tensor


def input_digest(image: Tensor, label: int) -> str:
    """SHA-256 of an input: its shape, its pixels and its label.

    Args:
        image: uint8 with shape (3, H, W).
        label: the true class; below 0 for an unlabelled image.
    """
    digest = hashlib.sha256(f"{tuple(image.shape)} {image.dtype} {label}\n".encode())
    digest.update(image.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
