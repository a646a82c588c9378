"""Handwritten digits as somebody's own images: thin strokes against thick ones.

    python make.py        # writes images/, classifier.pt, oracle.pt, classifier-grey.pt beside it

Takes about two minutes. The labels are computed: a quarter of the scans has the thinnest strokes, a
quarter the thickest, and those between are left out: they are neither, and what an editing method
does to an image by itself would take many of them to the other side of any border. `images/train`
is what networks learn from, `images/test` and the table beside it what is to be explained.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from networks import oracle, plain
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn

from vcebench.data.digits import arrays

HERE = Path(__file__).parent
CLASSES = ("thin", "thick")
OUTER = 1 / 4
"""Share of the scans that is thin, and share that is thick."""

HELD_OUT = 128
"""Images of a class that no network learns from."""

MEAN, STD = 0.13, 0.31
"""Of grey images in [0, 1], as the task's file says them too."""


def stroke_width(scan: Tensor) -> float:
    """Mean width of the strokes of a scan, uint8 (H, W), in pixels.

    The ridge of the distance to the nearest background is the middle of the strokes, and twice the
    distance there their width; four times as large a scan knows it to a quarter of a pixel.
    """
    large = F.interpolate(scan[None, None].float(), scale_factor=4, mode="bilinear")[0, 0]
    depth = ndimage.distance_transform_edt(large.numpy() >= 128)
    ridge = (depth > 0) & (depth == ndimage.maximum_filter(depth, size=3))
    return float(depth[ridge].mean()) / 2 if ridge.any() else 0.0


def labelled(
    splits: tuple[str, ...], bounds: tuple[float, float] | None = None
) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Scans (N, 32, 32) of splits, 0 for thin and 1 for thick ones, and the bounds of these."""
    scans = torch.cat([arrays(split)[0][:, 0] for split in splits])
    widths = torch.tensor([stroke_width(scan) for scan in scans])
    low, high = bounds or (float(widths.quantile(OUTER)), float(widths.quantile(1 - OUTER)))
    chosen = (widths < low) | (widths > high)
    return scans[chosen], (widths[chosen] > high).long(), (low, high)


def write(split: str, scans: Tensor, labels: Tensor) -> None:
    """Grey PNG files, and a table of their classes."""
    folder = HERE / "images" / split
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(f"{number:04d}.png", CLASSES[label]) for number, label in enumerate(labels)]
    for scan, (name, _) in zip(scans, rows, strict=True):
        Image.fromarray(scan.numpy()).save(folder / name)
    with (HERE / "images" / f"{split}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *rows])


def taking_turns(labels: Tensor, count: int) -> Tensor:
    """Positions of the first `count` images of each class, one of each in turn."""
    found = [(labels == label).nonzero()[:count, 0] for label in range(len(CLASSES))]
    return torch.stack(found, dim=1).flatten()


def given(scans: Tensor, channels: int) -> Tensor:
    """Scans as the networks take them: with three channels in [-1, 1], with one normalised."""
    x = scans[:, None].float().expand(-1, channels, -1, -1) / 255
    return 2 * x - 1 if channels == 3 else (x - MEAN) / STD


def train(network: nn.Module, x: Tensor, labels: Tensor, seed: int, epochs: int = 6) -> nn.Module:
    """Ordinary training: Adam on the cross-entropy; no blur, no noise, no other augmentation."""
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(network(x[batch]), labels[batch]).backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    return float((network(x).argmax(dim=1) == labels).float().mean())


def main() -> None:
    scans, labels, bounds = labelled(("train",))
    held, held_labels, _ = labelled(("val", "test"), bounds)
    print(f"thin: below {bounds[0]:.2f} pixels, thick: above {bounds[1]:.2f}")
    write("train", scans, labels)
    some = taking_turns(held_labels, HELD_OUT)
    write("test", held[some], held_labels[some])
    print(f"{len(scans):,} images to train on, {len(some)} others")
    for name, build, channels, seed in (
        ("classifier", plain, 3, 1),
        ("classifier-grey", plain, 1, 2),
        ("oracle", oracle, 3, 3),
    ):
        torch.manual_seed(seed)
        network = train(build(channels), given(scans, channels), labels, seed)
        torch.save(network.state_dict(), HERE / f"{name}.pt")
        right = accuracy(network, given(held, channels), held_labels)
        print(f"{name}: {right:.1%} of the others right")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
