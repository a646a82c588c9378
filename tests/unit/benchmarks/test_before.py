"""Two copies of the package in turn: a process that explains, once for every line."""

import sys

import pytest

from benchmarks.before import Copy


@pytest.mark.slow
def test_a_copy_makes_the_same_bits_every_time():
    copy = Copy(sys.executable, "--method", "maskdime", "--tau", "2")
    (first, digest), (second, again) = copy.once(), copy.once()
    copy.close()
    assert digest == again
    assert min(first, second) > 0
