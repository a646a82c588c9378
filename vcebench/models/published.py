"""The published networks at full size, by card: built without memory, filled from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet50  # type: ignore[import-untyped]

from vcebench.models.densenet import DenseNetClassifier
from vcebench.models.faces import CelebaHQOracle, CelebaOracle, VGGFace2, from_caffe_key
from vcebench.models.features import (
    FaceNet,
    InceptionFeatures,
    Lpips,
    SimSiam,
    VGGFeatures,
    lpips_key,
)
from vcebench.models.guided_diffusion import Flag, config_from_flags
from vcebench.models.normalise import Normalised
from vcebench.models.tcvae import DiVEAutoencoder
from vcebench.models.unet import UNet
from vcebench.weights.cards import Card
from vcebench.weights.reading import read_state
from vcebench.weights.shipped import NetworkFileError

_ADM: dict[str, Flag] = {
    "learn_sigma": True,
    "resblock_updown": True,
    "use_scale_shift_norm": True,
    "attention_resolutions": "32,16,8",
}

PRIOR_FLAGS: dict[str, dict[str, Flag]] = {
    "celeba-prior": {**_ADM, "image_size": 128, "diffusion_steps": 500, "num_heads": 4},
    "celebahq-prior": {
        **_ADM,
        "image_size": 256,
        "diffusion_steps": 500,
        "num_head_channels": 64,
    },
    # At these flags the only attention is in the middle block: the levels end at factor 8.
    "bdd-prior": {
        **_ADM,
        "image_size": 256,
        "attention_resolutions": "16,8",
        "channel_mult": "1,2,3,4",
        "diffusion_steps": 1000,
        "num_head_channels": 64,
    },
    "imagenet-prior": {
        **_ADM,
        "image_size": 256,
        "num_channels": 256,
        "diffusion_steps": 1000,
        "num_head_channels": 64,
    },
}
"""Flags of the authors' programs, by card."""

BRIDGE_FLAGS: dict[str, dict[str, Flag]] = {
    "celeba-bridge": {
        **PRIOR_FLAGS["celeba-prior"],
        "num_head_channels": 64,
        "learn_sigma": False,
    },
    "celebahq-bridge": {**PRIOR_FLAGS["imagenet-prior"], "learn_sigma": False},
    "imagenet-bridge": {**PRIOR_FLAGS["imagenet-prior"], "learn_sigma": False},
}
"""Of bridges; `diffusion_steps` is their length. An average has those of its raw card."""


def _same(key: str) -> str:
    return key


@dataclass(frozen=True)
class _Plan:
    """How a card's network is built: `inner` is the part whose tensors the file holds."""

    build: Callable[[], nn.Module]
    inner: Callable[[nn.Module], nn.Module] = lambda module: module
    rename: Callable[[str], str] = _same


def _wrapped(module: nn.Module) -> nn.Module:
    inner = module.network
    assert isinstance(inner, nn.Module)
    return inner


def _unet(flags: Mapping[str, Flag]) -> _Plan:
    return _Plan(lambda: UNet(config_from_flags(flags)[0]))


def bridge_steps(card: Card) -> int:
    """T of a card's bridge."""
    return config_from_flags(BRIDGE_FLAGS[card.id.removesuffix("-ema")])[1]


_PLANS: dict[str, _Plan] = {
    **{id: _unet(flags) for id, flags in PRIOR_FLAGS.items()},
    **{f"{id}{end}": _unet(flags) for id, flags in BRIDGE_FLAGS.items() for end in ("", "-ema")},
    "celeba-autoencoder": _Plan(DiVEAutoencoder),
    "celeba-classifier": _Plan(lambda: DenseNetClassifier(40)),
    "celebahq-classifier": _Plan(lambda: DenseNetClassifier(3)),
    "bdd-classifier": _Plan(lambda: DenseNetClassifier(4)),
    **{
        id: _Plan(lambda: Normalised(resnet50(weights=None)), _wrapped)
        for id in ("imagenet-classifier", "imagenet-robust", "imagenet-robust-l2")
    },
    "celeba-oracle": _Plan(CelebaOracle, rename=from_caffe_key),
    "celebahq-oracle": _Plan(CelebaHQOracle, rename=from_caffe_key),
    "vggface2": _Plan(VGGFace2, _wrapped),
    "facenet": _Plan(FaceNet, _wrapped),
    "simsiam": _Plan(lambda: Normalised(SimSiam()), _wrapped),
    "inception": _Plan(InceptionFeatures, _wrapped),
    "vgg19": _Plan(lambda: Normalised(VGGFeatures()), _wrapped),
    "lpips": _Plan(Lpips, _wrapped, rename=lpips_key),
}


def load_published(card: Card, path: Path) -> nn.Module:
    """A card's network with the weights of a file, float32, in evaluation mode, without gradients.

    Raises NetworkFileError; see `vcebench.weights.reading.read_state`.
    """
    return build_published(card, read_state(path, card))


def build_published(card: Card, state: Mapping[str, Tensor]) -> nn.Module:
    """A card's network with the given tensors, keyed as the card has them."""
    plan = _PLANS[card.id]
    module = without_memory(card)
    fill(plan.inner(module), {plan.rename(key): value for key, value in state.items()}, card.title)
    return module.eval().requires_grad_(False)


def without_memory(card: Card) -> nn.Module:
    """A card's network on the device `meta`: shapes, but no values."""
    with torch.device("meta"):
        return _PLANS[card.id].build()


def fill(module: nn.Module, state: Mapping[str, Tensor], title: str) -> None:
    """Give a network built on `meta` its tensors; floating-point ones become float32.

    Counters of batch normalisation that the state lacks are zero: they have no effect here.
    """
    values = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    for key, value in module.state_dict().items():
        if key not in values and value.device.type == "meta" and value.ndim == 0:
            values[key] = torch.zeros((), dtype=value.dtype, device="cpu")
    module.load_state_dict(values, strict=False, assign=True)
    left = [key for key, value in module.state_dict().items() if value.device.type == "meta"]
    if left:
        raise NetworkFileError(f"{title}: no values for {', '.join(left[:3])}")
