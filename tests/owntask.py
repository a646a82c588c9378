"""A task of somebody's own in a folder: pictures, small classifiers, a prior that knows nothing.

Nothing here measures anything: the prior's weights are random, so that runs take no time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from vcebench.cli import main
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.models.small import build_network
from vcebench.weights.shipped import save_network

KINDS = ("bar", "disc")

CLASSIFIERS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, k=2):
        super().__init__()
        self.slopes = nn.Parameter(torch.linspace(-6, 6, k) if k > 1 else torch.tensor([6.0]))

    def forward(self, x):
        return (x.mean((1, 2, 3))[:, None] + 0.3) * self.slopes


class After(Net):
    def __init__(self, function, k=2):
        super().__init__(k)
        self.function = function

    def forward(self, x):
        return self.function(super().forward(x))


class Rule(nn.Module):
    def forward(self, x):
        return 10 * (x.mean((1, 2, 3)) + 0.3)


def build(k=2):
    return Net(k)


def sigmoid():
    return After(torch.sigmoid, 1)


def softmax():
    return After(lambda out: out.softmax(1))


def squeezed():
    return After(lambda out: out.squeeze(), 1)


class Blocks(nn.Module):
    def forward(self, x):
        return nn.functional.avg_pool2d(x, 8).flatten(1)


class Shades(nn.Module):
    def forward(self, x):
        return 20 * (x.mean((2, 3)) + 0.3)


class One(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 8)
        with torch.no_grad():
            self.conv.weight[0] = -0.1
            self.conv.weight[1] = 0.1
            self.conv.bias.zero_()

    def forward(self, x):
        return self.conv(x).mean((2, 3))


def one():
    return One()


def blocks():
    return Blocks()


def shades():
    return Shades()


def detached():
    return After(lambda out: out.detach())


def rule():
    return Rule()
"""

TOML = """name = "shapes"
{top}
[data]
folder = "images"
size = 16
{data}
[classifier]
unit = 500.0
{classifier}
[prior]
{prior}
[run]
method = "maskdime"
tau = 3
batch_size = 4
lambda_class = [8.0]
lambda_perceptual = 0
{run}
"""


def picture(kind: str, number: int, side: int = 24) -> npt.NDArray[np.uint8]:
    """A bar or a disc on a dark ground, uint8 (side, side, 3); numbers differ in place."""
    rng = np.random.default_rng(number + 1000 * len(kind))
    y, x = np.mgrid[:side, :side]
    image = np.full((side, side, 3), rng.integers(20, 60, 3), np.uint8)
    cy, cx = rng.integers(side // 3, 2 * side // 3, 2)
    disc = (y - cy) ** 2 + (x - cx) ** 2 < (side / 3) ** 2
    image[disc if kind == "disc" else abs(x - cx) < 2] = rng.integers(150, 255, 3)
    return image


def save(path: Path, pixels: npt.NDArray[Any], **options: Any) -> Path:
    """Write a picture, with the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def write_prior(path: Path) -> Path:
    """A prior of random weights, always the same."""
    config = {"model_channels": 32, "channel_mult": (1, 1), "num_res_blocks": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network("unet", config)
    card = {"schedule": {"name": "linear", "steps": 500, "respacing": 200}}
    save_network(path, network, "unet", config, card)
    return path


class OwnTask:
    """A folder with own.toml, clf.py, prior.safetensors and images/KIND/NN.png."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        (path / "clf.py").write_text(CLASSIFIERS)
        write_prior(path / "prior.safetensors")
        self.toml()

    def images(self, count: int = 2, kinds: Iterable[str] = KINDS) -> OwnTask:
        for kind in kinds:
            for number in range(count):
                save(self.path / "images" / kind / f"{number:02d}.png", picture(kind, number))
        return self

    def toml(
        self,
        data: str = 'classes = ["bar", "disc"]',
        classifier: str = 'factory = "clf:build"',
        prior: str = 'trained = "prior.safetensors"',
        run: str = "",
        top: str = "",
    ) -> OwnTask:
        text = TOML.format(data=data, classifier=classifier, prior=prior, run=run, top=top)
        self.config.write_text(text)
        return self

    @property
    def config(self) -> Path:
        return self.path / "own.toml"

    def call(self, *words: object) -> int:
        """A command, in this process; its exit code."""
        return main([str(word) for word in words])

    def run(self, *words: object, output: str = "run") -> int:
        """`vcebench run --config own.toml`."""
        return self.call("run", "--config", self.config, "--output", self.path / output, *words)

    def folder(self, output: str = "run") -> RunFolder:
        return RunFolder(self.path / output)

    def rows(self, output: str = "run") -> dict[str, Row]:
        return {row.id: row for row in self.folder(output).rows()}

    def inputs(self, output: str = "run") -> dict[str, npt.NDArray[np.uint8]]:
        """The images that were explained, uint8 (3, H, W), by id."""
        folder = self.folder(output)
        return {row.id: folder.images("inputs", [row])[0].numpy() for row in folder.rows()}

    def metrics(self, output: str = "run") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / output / "metrics.json").read_text())
        return found
