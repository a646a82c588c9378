"""What was found in the images of a run, put together from its chunks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vcebench.folders.scratch import mapped_array

Array = npt.NDArray[Any]


@dataclass
class Extracted:
    """Per-image values by metric id (or other name), and features; rows as in the run.

    Attributes:
        values: name → (n,) array.
        pairs: role → (features of the originals, of the counterfactuals), each (n, d) float32,
            memory-mapped.
        failures: id of a metric from outside that failed → why.
    """

    values: dict[str, Array] = field(default_factory=dict)
    pairs: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


class Collector:
    """Chunks put where they belong."""

    def __init__(self, n: int, scratch: Path) -> None:
        self._n = n
        self._scratch = scratch
        self._arrays: dict[str, Array] = {}
        self._filled: Counter[str] = Counter()

    def put(self, start: int, found: dict[str, Array]) -> None:
        for name, chunk in found.items():
            if name not in self._arrays:
                self._arrays[name] = self._new(name, chunk)
            self._arrays[name][start : start + len(chunk)] = chunk
            self._filled[name] += len(chunk)

    def _new(self, name: str, chunk: Array) -> Array:
        shape = (self._n, *chunk.shape[1:])
        if chunk.ndim == 1:
            return np.empty(shape, chunk.dtype)
        path = self._scratch / f"{name.replace(':', '-')}.npy"
        return mapped_array(path, shape)

    def result(self) -> Extracted:
        """What was found in every chunk: what some lack is no measure of the run."""
        for name in [name for name, count in self._filled.items() if count < self._n]:
            del self._arrays[name]
        values = {name: array for name, array in self._arrays.items() if ":" not in name}
        roles = {name.partition(":")[0] for name in self._arrays if ":" in name}
        pairs = {r: (self._arrays[f"{r}:x"], self._arrays[f"{r}:x_cf"]) for r in sorted(roles)}
        return Extracted(values, pairs)
