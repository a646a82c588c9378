"""Feature extractors of the protocol, built without their libraries' downloads.

Each takes images in [-1, 1] with shape (B, 3, H, W).

References: SimSiam (Chen & He, 2021) for S3 (ACE: Jeanneret et al., 2023); FID (Heusel et al.,
2017) with pytorch-fid's Inception-v3; LPIPS (Zhang et al., 2018); FaceNet (Schroff et al., 2015);
VGG-19 (Simonyan & Zisserman, 2015) up to the ReLU after the fourth convolution of block 3.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception_v3, resnet50, vgg19  # type: ignore[import-untyped]

PERCEPTUAL_LAYERS = 18


class VGGFeatures(nn.Module):
    """VGG-19 features[:18] of normalised images: (B, 3, H, W) → (B, 256, H/4, W/4)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = vgg19(weights=None).features[:PERCEPTUAL_LAYERS]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.features(x)
        return out


class SimSiam(nn.Module):
    """Projection of normalised images, (B, 2048); the predictor is there only to be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = resnet50(weights=None)
        width = 2048
        self.encoder.fc = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.BatchNorm1d(width, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(width, 512, bias=False),
            nn.BatchNorm1d(512),
            nn.ReLU(inplace=True),
            nn.Linear(512, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x)
        return out


class InceptionFeatures(nn.Module):
    """Pooled features of FID's Inception-v3: (B, 3, H, W) in [-1, 1] → (B, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        from pytorch_fid import inception as fid  # type: ignore[import-untyped]

        network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
        blocks: dict[str, Any] = {
            "Mixed_5b": fid.FIDInceptionA(192, pool_features=32),
            "Mixed_5c": fid.FIDInceptionA(256, pool_features=64),
            "Mixed_5d": fid.FIDInceptionA(288, pool_features=64),
            "Mixed_6b": fid.FIDInceptionC(768, channels_7x7=128),
            "Mixed_6c": fid.FIDInceptionC(768, channels_7x7=160),
            "Mixed_6d": fid.FIDInceptionC(768, channels_7x7=160),
            "Mixed_6e": fid.FIDInceptionC(768, channels_7x7=192),
            "Mixed_7b": fid.FIDInceptionE_1(1280),
            "Mixed_7c": fid.FIDInceptionE_2(2048),
        }
        for name, block in blocks.items():
            setattr(network, name, block)
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
        for name, layer in self.network.named_children():
            if name == "fc":
                break
            x = layer(x)
        return x.flatten(1)


class FaceNet(nn.Module):
    """facenet-pytorch's InceptionResnetV1: images in [-1, 1] → unit vectors (B, 512)."""

    def __init__(self) -> None:
        super().__init__()
        from facenet_pytorch import InceptionResnetV1  # type: ignore[import-untyped]

        self.network = InceptionResnetV1(pretrained=None)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, (160, 160), mode="bilinear", antialias=True)
        out: Tensor = self.network(x * (127.5 / 128))
        return out


class Lpips(nn.Module):
    """LPIPS distance (version 0.1, VGG-16): two batches of images in [-1, 1] → (B,)."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # it asks torchvision in an outdated way
            import lpips  # type: ignore[import-untyped]

            self.network = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
            with torch.device("cpu"):
                self.network.scaling_layer = lpips.ScalingLayer()
        folder = Path(lpips.__file__).parent / "weights" / "v0.1"
        linear = torch.load(folder / "vgg.pth", map_location="cpu", weights_only=True)
        self.network.load_state_dict(linear, strict=False, assign=True)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        out: Tensor = self.network(x, other)
        return out.flatten()


def lpips_key(key: str) -> str:
    """Name of a torchvision VGG-16 tensor inside `Lpips`: features.5.bias → net.slice2.5.bias."""
    _, number, tensor = key.split(".")
    ends = (4, 9, 16, 23, 30)
    part = next(i for i, end in enumerate(ends, start=1) if int(number) < end)
    return f"net.slice{part}.{number}.{tensor}"
