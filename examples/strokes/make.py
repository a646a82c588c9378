"""Handwritten digits as somebody's own images: thin strokes against thick ones.

    python make.py        # writes images/, classifier.pt, oracle.pt, classifier-grey.pt beside it

Takes about two minutes. The labels are computed: a third of the scans has the thinnest strokes, a
third the thickest, and those between are left out. `images/train` is what networks learn from,
`images/test` what is to be explained.
"""

from __future__ import annotations

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
EXPLAINED = 32
"""Images of a class that are to be explained."""

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


def thirds(split: str, bounds: tuple[float, float] | None = None) -> tuple[Tensor, Tensor, tuple]:
    """Scans (N, 32, 32) of a split, 0 for thin and 1 for thick ones, and where the thirds end."""
    scans = arrays(split)[0][:, 0]
    widths = torch.tensor([stroke_width(scan) for scan in scans])
    low, high = bounds or (float(widths.quantile(1 / 3)), float(widths.quantile(2 / 3)))
    chosen = (widths < low) | (widths > high)
    return scans[chosen], (widths[chosen] > high).long(), (low, high)


def write(split: str, scans: Tensor, labels: Tensor) -> None:
    """Grey PNG files, in a folder for each class."""
    for name in CLASSES:
        (HERE / "images" / split / name).mkdir(parents=True, exist_ok=True)
    for number, (scan, label) in enumerate(zip(scans, labels, strict=True)):
        place = HERE / "images" / split / CLASSES[label] / f"{number:04d}.png"
        Image.fromarray(scan.numpy()).save(place)


def given(scans: Tensor, channels: int) -> Tensor:
    """Scans as the networks take them: with three channels in [-1, 1], with one normalised."""
    x = scans[:, None].float().expand(-1, channels, -1, -1) / 255
    return 2 * x - 1 if channels == 3 else (x - MEAN) / STD


def train(network: nn.Module, x: Tensor, labels: Tensor, seed: int, epochs: int = 4) -> nn.Module:
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
    scans, labels, bounds = thirds("train")
    test_scans, test_labels, _ = thirds("test", bounds)
    print(f"thin: below {bounds[0]:.2f} pixels, thick: above {bounds[1]:.2f}")
    write("train", scans, labels)
    some = torch.cat([(test_labels == label).nonzero()[:EXPLAINED, 0] for label in (0, 1)])
    write("test", test_scans[some], test_labels[some])
    print(f"{len(scans):,} images to train on, {len(some)} to explain")
    for name, build, channels, seed in (
        ("classifier", plain, 3, 1),
        ("classifier-grey", plain, 1, 2),
        ("oracle", oracle, 3, 3),
    ):
        torch.manual_seed(seed)
        network = train(build(channels), given(scans, channels), labels, seed)
        torch.save(network.state_dict(), HERE / f"{name}.pt")
        right = accuracy(network, given(test_scans, channels), test_labels)
        print(f"{name}: {right:.1%} of the others right")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
