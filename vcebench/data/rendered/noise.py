"""Exogenous noise of rendered scenes, keyed by what it belongs to and never by a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, int]
"""A 128-bit key of a counter-based stream, as two 64-bit words."""


def make_key(*parts: str | int) -> Key:
    """The key of the stream that belongs to `parts`, the same on every platform."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _stream(key: Key, count: int) -> NDArray[np.uint64]:
    """`count` raw 64-bit words; the raw Philox stream is fixed by its definition."""
    return np.random.Philox(key=np.array(key, dtype=np.uint64)).random_raw(count)


def uniforms(keys: Sequence[Key], count: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) with shape (B, count), one stream per key."""
    words = np.empty((len(keys), count), dtype=np.uint64)
    for row, key in enumerate(keys):
        words[row] = _stream(key, count)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pixel_noise(keys: Sequence[Key], height: int, width: int) -> NDArray[np.float32]:
    """Nearly normal noise with shape (B, height, width), mean 0 and standard deviation 1.

    Each pixel is the sum of the four 16-bit quarters of one raw word (Irwin-Hall), which needs no
    transcendental function and so is the same on every platform.
    """
    count = height * width
    quarters = np.empty((len(keys), count, 4), dtype="<u2")
    for row, key in enumerate(keys):
        quarters[row] = _stream(key, count).astype("<u8").view("<u2").reshape(count, 4)
    total = quarters.astype(np.int32).sum(axis=-1) - 2 * 65535
    scaled = total.astype(np.float32) * np.float32(np.sqrt(3.0) / 65536.0)
    noise: NDArray[np.float32] = scaled.reshape(len(keys), height, width)
    return noise
