"""What the C library does with memory that PyTorch gives back, on a CPU."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# Parameters of mallopt(3) in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in the process, for the next tensors; True if the C library can.

    Otherwise glibc hands every larger block back to the kernel, which fills it with zeros again,
    page by page, for the next tensor of the same size: several times per layer. One arena serves
    all threads, since those of single threads cannot hold large blocks. It holds for the whole
    process; wholly for its first thread, and for others only if it is called before any is started,
    as programs do at their beginning.
    """
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    wanted = {_ARENA_MAX: 1, _MMAP_THRESHOLD: 2**30, _TRIM_THRESHOLD: _LARGEST}
    done = [bool(mallopt(parameter, value)) for parameter, value in wanted.items()]
    return all(done)


def give_back_memory() -> None:
    """Hand what is free back to the system, where somebody's own program goes on."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _function(name: str) -> Callable[..., int] | None:
    """A function of glibc; None on other systems and C libraries."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return found
