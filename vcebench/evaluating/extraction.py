"""What the metrics need of every stored pair of images, each network run over it once.

Chunks of pairs are read, judged and dropped, so memory does not grow with the run; features go to
memory-mapped files. A chunk stays on one thread (as in `engines.local`), so figures do not depend
on the number of threads. On a GPU threads decode the next chunks, and measure what needs no
network, while the device works on this one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vcebench.data.base import HasCue
from vcebench.evaluating import pairs
from vcebench.evaluating.remembering import Memory
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.scratch import mapped_array
from vcebench.models.bundle import Bundle
from vcebench.models.memory import give_back_memory, keep_freed_memory

CHUNK = 64

Array = npt.NDArray[Any]
Found = tuple[int, dict[str, Array]]


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


@dataclass(frozen=True)
class _Read:
    """A chunk with what needs no network; without a pair, all that there is to find."""

    start: int
    pair: pairs.Pair | None
    found: dict[str, Array]


def extract(
    folder: RunFolder,
    rows: Sequence[Row],
    bundle: Bundle,
    device: torch.device,
    scratch: Path,
    threads: int | None = None,
    planted: HasCue | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    remember: bool = True,
) -> Extracted:
    """Values and features of some rows of a run.

    Args:
        folder, rows: the run, and the rows to look at, all of them finite.
        bundle: the networks of its task, on `device`.
        scratch: folder for the memory-mapped features; the caller removes it.
        threads: chunks at a time on a CPU; on a GPU, chunks that are read ahead.
        planted: the images, if their task has a planted cue.
        progress: called with the images done and all images.
        remember: what was found before in the same chunk of images is not computed again, see
            `remembering`; not for networks whose digests do not tell all that they are.

    Raises:
        UserError: a stored image cannot be read, or the networks do not take it.
    """
    before = torch.get_num_threads()
    on_cpu = device.type == "cpu"
    slots = threads or before
    starts = range(0, len(rows), CHUNK)
    collector = _Collector(len(rows), scratch)
    cue = None if planted is None else planted.cue
    memory = Memory(folder, bundle, device, cue) if remember else None
    failures: dict[str, str] = {}

    def read(start: int) -> _Read:
        chunk = rows[start : start + CHUNK]
        found = None if memory is None else memory.recall(chunk)
        if found is not None:
            return _Read(start, None, found)
        pair = pairs.read(folder, chunk, device)
        alone = pairs.pixels(folder, pair) | pairs.along_causes(pair, planted)
        return _Read(start, pair, alone)

    def look(got: _Read) -> Found:
        if got.pair is None:
            return got.start, got.found
        with pairs.fitting(folder, got.pair):
            found = pairs.networks(folder, got.pair, bundle) | got.found
        found |= pairs.from_outside(got.pair, bundle, failures)
        if memory is not None and not failures:
            memory.keep(got.pair.rows, found)
        return got.start, found

    try:
        torch.set_num_threads(1)
        if on_cpu:
            keep_freed_memory()
            results = _in_threads(lambda start: look(read(start)), starts, slots)
        else:
            results = map(look, _ahead(read, starts, slots))
        for start, found in results:
            collector.put(start, found)
            progress(min(start + CHUNK, len(rows)), len(rows))
    finally:
        torch.set_num_threads(before)
        give_back_memory()
    return replace(collector.result(), failures=failures)


def _in_threads(work: Callable[[int], Found], starts: Sequence[int], slots: int) -> Iterator[Found]:
    """Results in order. A single thread is the calling one, which always keeps freed memory."""
    if slots == 1:
        yield from map(work, starts)
        return
    with ThreadPoolExecutor(slots, "vcebench") as pool:
        yield from pool.map(work, starts)


def _ahead(read: Callable[[int], _Read], starts: Sequence[int], slots: int) -> Iterator[_Read]:
    """Chunks in order, read by threads a few ahead of whoever takes them."""
    with ThreadPoolExecutor(slots, "vcebench") as pool:
        coming: deque[Future[_Read]] = deque()
        for start in starts:
            coming.append(pool.submit(read, start))
            if len(coming) > slots:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


class _Collector:
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
        features = {r: (self._arrays[f"{r}:x"], self._arrays[f"{r}:x_cf"]) for r in sorted(roles)}
        return Extracted(values, features)
