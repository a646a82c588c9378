"""Freed memory stays in the process: measured in one of its own."""

import subprocess
import sys

import pytest

from vcebench.running.memory import keep_freed_memory

# Page faults of taking 16 MiB from the C library, writing to them and giving them back.
COUNT = """
import ctypes, resource, sys
from vcebench.running.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
def use():
    block = ctypes.c_void_p(library.malloc(ctypes.c_size_t(2**24)))
    ctypes.memset(block, 1, 2**24)
    library.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT, mode], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_freed_memory_is_used_again():
    assert faults("keep") < 0.1 * faults("default")


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
