"""Kernel distance (KID): unbiased at any number of images, hence the companion for small sets.

MMD² = mean of k(x, x') over x ≠ x' + mean of k(y, y') over y ≠ y' - 2 mean of k(x, y),
k(x, y) = (x·y/d + 1)³

Reference: Demystifying MMD GANs (Bińkowski et al., 2018). One estimate over the whole sets, no
subsets, so that it has no seed. It can come out below 0 when the distributions agree.

Everything is float64 but for one thing: in sets of more than `SMALL` images the products are those
of centred features in float32, twice as fast, whose roundings cancel over the pairs. Above
`LARGEST` images all pairs would take minutes to hours: `block_values` then estimates the value from
disjoint blocks of images.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vcebench.metrics.arrays import (
    ArrayInput,
    Floats,
    Integers,
    NotComputableError,
    as_array,
    as_count,
    as_floats,
    as_rows,
    check_ndim,
    check_numbers,
)

CHUNK = 1024  # rows of each side of a tile of the kernel matrix
GROUP = 8  # tiles of one side that are held at a time
SMALL = 2_000
"""Images of the larger set up to which products are float64."""
LARGEST = 50_000
"""Images of the larger set up to which all pairs are counted."""
BLOCK = 2_000
"""Images of either set in a block, beyond that."""


def kid(
    originals: ArrayInput,
    counterfactuals: ArrayInput,
    counterfactual_rows: Integers | None = None,
    *,
    chunk: int = CHUNK,
) -> float:
    """Unbiased squared maximum mean discrepancy of two feature sets; may be slightly negative.

    Args:
        originals: features (n, d), any floating type, memory maps welcome.
        counterfactuals: features (m, d) from the same network.
        counterfactual_rows: indices of the counterfactuals to count, or a mask (m,); all if None.
        chunk: side of the tiles in which the kernel matrix is summed.

    Raises:
        NotComputableError: fewer than 2 images in one of the sets.
        ValueError: dimensions differ, or NaN or infinity among the features.

    >>> kid([[0.0], [1.0]], [[1.0], [2.0]])  # 1 + 27 - 2·(1 + 1 + 8 + 27)/4
    9.5
    """
    x, y, rows = _checked(originals, counterfactuals, counterfactual_rows)
    as_count(chunk, "chunk")
    return _mmd(x, np.arange(len(x)), y, rows, chunk)


def block_values(
    originals: ArrayInput,
    counterfactuals: ArrayInput,
    counterfactual_rows: Integers | None = None,
    *,
    largest: int = LARGEST,
    block: int = BLOCK,
) -> Floats:
    """KID in blocks if a set is too large for all pairs: (b,), else the value itself: (1,).

    Both sets are dealt out to blocks at random (always alike), at most `block` images of each to a
    block. The mean over the blocks estimates the value without bias, and their bootstrap is its
    interval.

    Args:
        originals, counterfactuals, counterfactual_rows: see `kid`, which tells the errors too.
        largest: images of the larger set up to which all pairs are counted.
        block: images of either set in a block.

    >>> block_values([[0.0], [1.0]], [[1.0], [2.0]])
    array([9.5])
    """
    x, y, rows = _checked(originals, counterfactuals, counterfactual_rows)
    as_count(largest, "largest")
    as_count(block, "block", 2)
    n, m = len(x), len(rows)
    if max(n, m) <= largest:
        return np.array([_mmd(x, np.arange(n), y, rows, CHUNK)])
    # A block needs two images of each set; those of a much larger set are not all needed.
    count = max(1, min(-(-max(n, m) // block), min(n, m) // 2))
    rng = np.random.default_rng(0)
    dealt = rng.permutation(n), rows[rng.permutation(m)]
    blocks = [[np.sort(side[b::count][:block]) for side in dealt] for b in range(count)]
    return np.array([_mmd(x, first, y, second, CHUNK) for first, second in blocks])


def estimated(images: int) -> str | None:
    """What a reader should know of KID of so many images; None if every pair counts."""
    if images <= LARGEST:
        return None
    return (
        f"KID of {images:,} images is estimated from blocks of {BLOCK:,}, as all pairs would take "
        "too long; its interval is over the blocks"
    )


def _checked(
    originals: ArrayInput, counterfactuals: ArrayInput, rows: Integers | None
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating], Integers]:
    x, y = as_array(originals), as_array(counterfactuals)
    for features in (x, y):
        check_ndim(features, "features", 2)
        check_numbers(features, "features")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features differ in dimension: {x.shape[1]} and {y.shape[1]}")
    chosen = np.arange(len(y)) if rows is None else as_rows(rows, len(y), "counterfactual_rows")
    for name, count in (("originals", len(x)), ("counterfactuals", len(chosen))):
        if count < 2:
            raise NotComputableError(f"fewer than 2 {name} (n = {count})")
    return x, y, chosen


def _mmd(x: ArrayInput, rows_x: Integers, y: ArrayInput, rows_y: Integers, chunk: int) -> float:
    """MMD² of some rows of two sets."""
    n, m = len(rows_x), len(rows_y)
    precision = np.float64 if max(n, m) <= SMALL else np.float32
    centre = _mean(x, rows_x, chunk)
    first = _Tiles(x, rows_x, centre, precision, chunk)
    second = _Tiles(y, rows_y, centre, precision, chunk)
    between = sum(_cubes(_base(a, b)) for _, _, a, b in _pairs(first, second))
    within = _within(first) / (n * (n - 1)) + _within(second) / (m * (m - 1))
    return within - 2 * between / (n * m)


def _within(tiles: "_Tiles") -> float:
    """Sum of the kernel over ordered pairs of different images; the matrix is symmetric."""
    total = 0.0
    for i, j, a, b in _pairs(tiles, tiles):
        if i < j:
            total += 2 * _cubes(_base(a, b))
        elif i == j:
            base = _base(a, b)
            total += _cubes(base) - float((np.diagonal(base) ** 3).sum())
    return total


@dataclass(frozen=True, eq=False)
class _Tile:
    """Features of b images, x = centre + √d·scaled.

    Attributes:
        scaled: (b, d) float32, or float64 in small sets.
        offset: (b,) float64, what an image adds to x·y/d + 1 beyond the product of the scaled.
    """

    scaled: npt.NDArray[np.floating]
    offset: Floats


@dataclass(frozen=True, eq=False)
class _Tiles:
    """Some rows of a set of features, tile by tile; a memory map is never loaded whole."""

    features: ArrayInput
    rows: Integers
    centre: Floats
    precision: type[np.floating]
    chunk: int

    def __len__(self) -> int:
        return -(-len(self.rows) // self.chunk)

    def __getitem__(self, number: int) -> _Tile:
        start, d = number * self.chunk, len(self.centre)
        chosen = self.features[self.rows[start : start + self.chunk]]
        centred = as_floats(chosen, "features", 2)
        centred -= self.centre
        offset = (centred @ self.centre + self.centre @ self.centre / 2) / d + 0.5
        centred /= np.sqrt(d)
        return _Tile(centred.astype(self.precision, copy=False), offset)


def _pairs(x: _Tiles, y: _Tiles) -> Iterator[tuple[int, int, _Tile, _Tile]]:
    """Every pair of tiles with its numbers; of pairs within one set, all with i <= j."""
    for start in range(0, len(x), GROUP):
        numbers = range(start, min(start + GROUP, len(x)))
        held = [x[i] for i in numbers]
        for j in range(start if x is y else 0, len(y)):
            tile = held[j - start] if x is y and j in numbers else y[j]
            yield from ((i, j, a, tile) for i, a in zip(numbers, held, strict=True))


def _base(a: _Tile, b: _Tile) -> Floats:
    """x·y/d + 1 of every pair of two tiles, (n, m) float64."""
    base: Floats = (a.scaled @ b.scaled.T).astype(np.float64, copy=False)
    base += a.offset[:, None]
    base += b.offset
    return base


def _cubes(base: Floats) -> float:
    return float(np.vdot(base * base, base))


def _mean(features: ArrayInput, rows: Integers, chunk: int) -> Floats:
    total = np.zeros(features.shape[1])
    for start in range(0, len(rows), chunk):
        total += features[rows[start : start + chunk]].sum(axis=0, dtype=np.float64)
    return total / len(rows)
