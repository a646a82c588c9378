"""Where in the pictures a run's set distances come from.

    python benchmarks/fid_parts.py RUN [RUN ...]

For runs of an embedded data set with known true counterfactuals, FID and KID to the originals are
computed for the counterfactuals themselves and for two recombinations: only the part of the edit
inside the true region, and only the part outside of it. Two references stand beside them: the true
counterfactuals, and as many other originals, which is what a perfect method of that n could hope
for. Below, the share of images in which the attribute oracle sees each attribute.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from vcebench.data.registry import open_dataset
from vcebench.folders.images import dequantise
from vcebench.folders.runfolder import RunFolder
from vcebench.metrics import frechet, kid
from vcebench.models.loading import load_bundle

CHUNK = 64
CHANGED = 2  # grey levels; the protocol's true region


@torch.no_grad()
def through(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Outputs (n, d) of a network for uint8 images (n, 3, H, W)."""
    return torch.cat([network(dequantise(part)).flatten(1) for part in images.split(CHUNK)])


def parts(folder: RunFolder) -> dict[str, Tensor]:
    """The flipped counterfactuals of a run, whole and recombined with their inputs, uint8."""
    rows = [row for row in folder.rows() if row.finite and row.flipped]
    x, x_cf, truth = (folder.images(k, rows) for k in ("inputs", "counterfactuals", "truths"))
    region = (truth.int() - x.int()).abs().amax(dim=1, keepdim=True) > CHANGED
    return {
        "counterfactuals": x_cf,
        "edit inside the true region only": torch.where(region, x_cf, x),
        "edit outside the true region only": torch.where(region, x, x_cf),
        "true counterfactuals": truth,
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    folders = [RunFolder.existing(path) for path in parser.parse_args().runs]
    config = folders[0].config()
    bundle = load_bundle(config.dataset, config.task)
    assert bundle.oracle is not None
    assert bundle.representation is not None
    rows = folders[0].rows()
    originals = folders[0].images("inputs", rows)
    others = open_dataset(config.dataset, config.task, config.split)
    fresh = torch.stack([others[len(rows) + k].image for k in range(len(rows))])
    sets = {"originals": originals, "as many other originals": fresh}
    for folder in folders:
        method = folder.config().method
        sets |= {f"{method}: {name}": images for name, images in parts(folder).items()}
    reference = through(bundle.representation, originals).numpy()
    distances, shares = [], []
    for name, images in sets.items():
        found = through(bundle.representation, images).numpy()
        members = np.arange(len(found))
        if name != "originals":
            values = (f(reference, found, members) for f in (frechet.fid, kid.kid))
            distances.append([name, len(found), *(round(float(v), 4) for v in values)])
        seen = (through(bundle.oracle, images) > 0).float().mean(dim=0) * 100
        shares.append([name, *(round(float(v), 1) for v in seen)])
    print(tabulate(distances, ["to the originals", "n", "FID", "KID"], tablefmt="github"))
    print()
    print(tabulate(shares, ["seen in, %", *bundle.attributes], tablefmt="github"))


if __name__ == "__main__":
    main()
