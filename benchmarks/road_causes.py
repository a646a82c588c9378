"""Which causes the counterfactuals of driving scenes change, and which ones fail.

    python benchmarks/road_causes.py RUN [RUN ...]

For runs of `synthroads`, a line for each reason to slow down: of the scenes with this reason alone,
with several, and with none, how many flip, how many convince the oracle, and in how many it then
sees each reason. Where several interventions flip a scene, as from forward to slow down, the true
counterfactual is only one of them; the last columns tell which one a method found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from vcebench.data.registry import open_dataset
from vcebench.data.synthroads import scm
from vcebench.data.synthroads.dataset import SynthRoads
from vcebench.folders.images import dequantise
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.models.loading import load_bundle

CHUNK = 64


def causes_of(data: SynthRoads, rows: list[Row]) -> np.ndarray:
    """What says slow down in the inputs of these rows, bool (n, 3)."""
    held = data.factors([int(row.id.rsplit("-", 1)[1]) for row in rows]).variables
    return np.asarray(held[:, : len(scm.STOPPING)], dtype=bool)


def groups(causes: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Name and members of every group of scenes."""
    count = causes.sum(axis=1)
    yield "none: to slow down", count == 0
    for column, name in enumerate(scm.STOPPING):
        yield f"{name} alone: to forward", (count == 1) & causes[:, column]
    yield "several: to forward", count > 1


@torch.no_grad()
def lines(folder: RunFolder) -> Iterator[list[str | int | float]]:
    """The table's lines of one run, shares in percent."""
    config = folder.config()
    bundle = load_bundle(config.dataset, config.task)
    assert bundle.oracle is not None
    data = open_dataset(config.dataset, config.task, config.split)
    assert isinstance(data, SynthRoads)
    rows = [row for row in folder.rows() if row.finite]
    images = folder.images("counterfactuals", rows)
    logits = torch.cat([bundle.oracle(dequantise(part)) for part in images.split(CHUNK)])
    seen = (logits[:, : len(scm.STOPPING)] > 0).numpy()
    flipped = np.array([row.flipped for row in rows])
    convinced = ~seen.any(axis=1) == np.array([row.target == 1 for row in rows])
    for name, members in groups(causes_of(data, rows)):
        shares = [a[members].mean() * 100 for a in (flipped, convinced, *seen.T)]
        yield [config.method, name, int(members.sum()), *(round(float(s), 1) for s in shares)]


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    folders = [RunFolder.existing(path) for path in parser.parse_args().runs]
    heads = ["method", "says slow down", "n", "flipped", "oracle"]
    heads += [f"{name} then" for name in scm.STOPPING]
    print(tabulate([line for f in folders for line in lines(f)], heads, tablefmt="github"))


if __name__ == "__main__":
    main()
