"""Freed memory stays in the process, for callers of the library too: measured in one of its own."""

import subprocess
import sys

import pytest

from vcebench.models.memory import keep_freed_memory

# Page faults of taking 16 MiB from the C library, writing to them and giving them back.
COUNT = """
import ctypes, resource, sys
mode = sys.argv[1]
if mode in ("keep", "give back"):
    from vcebench.models.memory import give_back_memory, keep_freed_memory
    if not keep_freed_memory():
        sys.exit(3)
if mode == "engine":
    from types import SimpleNamespace
    import torch
    from vcebench.running.engines.local import LocalEngine
    LocalEngine(SimpleNamespace(device=torch.device("cpu"), batch_size=1)).close()
if mode == "extraction":
    from pathlib import Path
    import torch
    from vcebench.evaluating.extraction import extract
    extract(None, [], None, torch.device("cpu"), Path(), remember=False)
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
def use():
    block = ctypes.c_void_p(library.malloc(ctypes.c_size_t(2**24)))
    ctypes.memset(block, 1, 2**24)
    library.free(block)
    if mode == "give back":
        give_back_memory()
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


@pytest.mark.parametrize("mode", ["keep", "engine", "extraction"])
def test_freed_memory_is_used_again(mode):
    assert faults(mode) < 0.1 * faults("default")


def test_free_memory_can_be_given_back():
    assert faults("keep") < faults("give back") / 8


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
