"""The benchmark of checking a folder finds what it damaged."""

from benchmarks.checking_own import measured


def test_the_files_that_were_cut_off_are_those_that_are_found():
    figures = measured(205, 16)
    assert figures["damaged files"] == figures["of them found"] == 3
