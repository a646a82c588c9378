"""What the C library does with memory that PyTorch gives back, on a CPU."""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3) in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in the process, for the next tensors; True if the C library can.

    Otherwise glibc hands every larger block back to the kernel, which fills it with zeros again,
    page by page, for the next tensor of the same size: several times per layer. One arena serves
    all threads, since those of single threads cannot hold large blocks. It holds for the whole
    process, so only programs call it, at their beginning: before threads are started.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    wanted = {_ARENA_MAX: 1, _MMAP_THRESHOLD: 2**30, _TRIM_THRESHOLD: _LARGEST}
    done = [bool(mallopt(parameter, value)) for parameter, value in wanted.items()]
    return all(done)
