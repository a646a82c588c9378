"""What the metrics need of every stored pair of images, each network run over it once.

Chunks of pairs are read, judged and dropped, so memory does not grow with the run; features go to
memory-mapped files. A chunk stays on one thread (as in `engines.local`), so figures do not depend
on the number of threads. On a GPU threads decode the next chunks, and measure what needs no
network, while the device works on this one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vcebench.data.base import HasCue
from vcebench.evaluating import pairs
from vcebench.evaluating.extracted import Array, Collector, Extracted
from vcebench.evaluating.remembering import Memory
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.models.bundle import Bundle
from vcebench.models.memory import give_back_memory, keep_freed_memory

CHUNK = 64

Found = tuple[int, dict[str, Array]]


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
    collector = Collector(len(rows), scratch)
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
