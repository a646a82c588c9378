"""A walk of this copy of the package against that of another one, in turn.

    python benchmarks/before.py PYTHON [--method ID] [--tau N] [--repeats N]

PYTHON is the interpreter of an environment in which another copy is installed, such as a checkout
of an earlier commit. Both load their networks once and then explain the same batch of digits, one
after the other; what counts is the time of the process, so that a crowded machine disturbs little.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

AT_MOST = 1.03


def serve(method: str, tau: int) -> None:
    """Explain a batch for every line that comes in: its seconds, and a digest of its images."""
    import torch

    setting = _beside("setting")
    torch.set_num_threads(1)
    given = setting.setting(replace(setting.QUICK, batch_size=4), 4, method, tau)
    worker, tries = replace(given.worker, keep_files=False), given.tries()
    for _ in sys.stdin:
        begun = time.process_time()
        found = worker.explain(tries)
        seconds = time.process_time() - begun
        digest = hashlib.sha256(b"".join(one.image.numpy().tobytes() for one in found))
        print(seconds, digest.hexdigest(), flush=True)


def _beside(name: str) -> Any:
    """A file of this folder; with its parent on the path, the other's package would be ours."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Copy:
    """A process that explains when it is told to."""

    def __init__(self, python: str, *options: str) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "--serve", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def once(self) -> tuple[float, str]:
        """Seconds and digest of a batch."""
        incoming, out = self._process.stdin, self._process.stdout
        assert incoming is not None
        assert out is not None
        incoming.write("\n")
        incoming.flush()
        seconds, digest = out.readline().split()
        return float(seconds), digest

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def main() -> None:
    """Print the ratio of both medians, and whether the images are the same bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs="?", default=sys.executable)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--method", default="maskdime")
    parser.add_argument("--tau", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.method, asked.tau)
        return
    options = ("--method", asked.method, "--tau", str(asked.tau))
    copies = [Copy(python, *options) for python in (sys.executable, asked.python)]
    for copy in copies:
        copy.once()  # what is made once is not what is compared
    rounds = [[copy.once() for copy in copies] for _ in range(asked.repeats)]
    for copy in copies:
        copy.close()
    here, there = (statistics.median(one[k][0] for one in rounds) for k in range(2))
    same = len({digest for one in rounds for _, digest in one}) == 1
    note = f"{here:.3f} s and {there:.3f} s, n = {asked.repeats}; images "
    note += "are the same bits" if same else "DIFFER"
    figures = _beside("figures")
    ratio, table = figures.ratio, figures.table
    print(table([ratio("x", f"{asked.method}, τ {asked.tau}", here / there, AT_MOST, note=note)]))


if __name__ == "__main__":
    main()
