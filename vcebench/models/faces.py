"""The face networks of the protocol: VGGFace2 embeddings and the two CelebA attribute oracles.

All three are the ResNet-50 of VGGFace2 as ported from Caffe: the stride of a stage is in its first
1x1 convolution, the first max pooling has no padding but a ceiling, 7x7 average pooling.

References: VGGFace2 (Cao et al., 2018); Diffusion Models for Counterfactual Explanations (Jeanneret
et al., 2022), Section 4.1; STEEX (Jacob et al., 2022).
"""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50  # type: ignore[import-untyped]

FACE_SIZE = 224
_BLUE_GREEN_RED = (91.4953, 103.8827, 131.0912)


class CaffeResNet50(nn.Module):
    """(B, 3, H, W) → pooled features (B, 2048); key names as torchvision's.

    Args:
        classes: outputs of the unused last layer that the distributed file holds; 0 has none.
    """

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        body = resnet50(weights=None, num_classes=max(1, classes))
        for layer in (body.layer2, body.layer3, body.layer4):
            first = layer[0]
            first.conv1.stride, first.conv2.stride = (2, 2), (1, 1)
        self.conv1, self.bn1 = body.conv1, body.bn1
        self.layer1, self.layer2 = body.layer1, body.layer2
        self.layer3, self.layer4 = body.layer3, body.layer4
        if classes:
            self.fc = body.fc

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return F.avg_pool2d(x, 7, stride=1).mean(dim=(2, 3))


class VGGFace2(nn.Module):
    """Face embedder of FVA and FS: images in [-1, 1] → (B, 2048), compared by their cosine.

    The papers resize image files with Pillow, so the resized image is rounded to 8 bits here too.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.network = CaffeResNet50(classes=8631)
        mean = torch.tensor(_BLUE_GREEN_RED, device="cpu")[:, None, None]
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        scale = FACE_SIZE / min(x.shape[2:])
        size = [round(side * scale) for side in x.shape[2:]]
        levels = F.interpolate((x + 1) * 127.5, size, mode="bilinear", antialias=True)
        out: Tensor = self.network(levels.round().clamp(0, 255).flip(1) - self.mean)
        return out


class CelebaOracle(nn.Module):
    """Oracle of DiME: images in [-1, 1] → 40 logits.

    Its preprocessing is peculiar and kept: channels are flipped to BGR but the means are
    subtracted in the order R, G, B, on the [0, 1] scale.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.feat_extract = CaffeResNet50()
        self.reduce = nn.Conv2d(2048, 128, 1, bias=False)
        self.classifier = nn.Linear(128, 40)
        mean = torch.tensor(_BLUE_GREEN_RED[::-1], device="cpu")[:, None, None] / 255
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = _bicubic(((x + 1) / 2).flip(1) - self.mean)
        features = self.reduce(self.feat_extract(x)[:, :, None, None]).flatten(1)
        out: Tensor = self.classifier(features)
        return out


class CelebaHQOracle(nn.Module):
    """Oracle of STEEX: images in [-1, 1] → 40 logits (its authors apply a sigmoid inside).

    Args:
        normalise_twice: as the authors' MNAC script does, which maps [-1, 1] to [-3, 1] first.
    """

    def __init__(self, normalise_twice: bool = False) -> None:
        super().__init__()
        self.normalise_twice = normalise_twice
        self.feat_extract = CaffeResNet50()
        self.classifier = nn.Linear(2048, 40)

    def forward(self, x: Tensor) -> Tensor:
        if self.normalise_twice:
            x = (x - 0.5) / 0.5
        out: Tensor = self.classifier(self.feat_extract(_bicubic(x)))
        return out


def _bicubic(x: Tensor) -> Tensor:
    return F.interpolate(x, (FACE_SIZE, FACE_SIZE), mode="bicubic", align_corners=False)


_PARTS = {"1x1_reduce": "1", "3x3": "2", "1x1_increase": "3"}
_BLOCK = re.compile(r"conv(\d)_(\d)_(1x1_reduce|3x3|1x1_increase|1x1_proj)(_bn)?$")


def from_caffe_key(key: str) -> str:
    """Our name of a tensor of a distributed oracle: conv3_1_3x3_bn.bias → layer2.0.bn2.bias."""
    if key == "feat_extract.feat_extract.weight":
        return "reduce.weight"
    prefix, _, rest = key.rpartition("feat_extract.")
    if not key.startswith("feat_extract."):
        return key
    name, _, tensor = rest.rpartition(".")
    return f"{prefix}feat_extract.{_layer(name)}.{tensor}"


def _layer(name: str) -> str:
    if name.startswith("conv1_7x7_s2"):
        return "bn1" if name.endswith("_bn") else "conv1"
    match = _BLOCK.match(name)
    if match is None:
        return name
    stage, block, part, norm = match.groups()
    where = f"layer{int(stage) - 1}.{int(block) - 1}"
    if part == "1x1_proj":
        return f"{where}.downsample.{1 if norm else 0}"
    return f"{where}.{'bn' if norm else 'conv'}{_PARTS[part]}"
