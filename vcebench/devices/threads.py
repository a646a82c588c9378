"""Work of a CPU that a GPU would wait for, such as encoding pictures, on all of its threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def for_each(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> list[Result]:
    """Results in the order of the items; one after the other where threads have batches already."""
    if device.type == "cpu":
        return [work(item) for item in items]
    with ThreadPoolExecutor(os.cpu_count(), "vcebench-files") as pool:
        return list(pool.map(work, items))
