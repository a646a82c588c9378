"""One card per published checkpoint: whose it is, what is in the file, what may lack or be left.

No weights ship with this package. Key names and shapes are those of the authors' network
definitions at full size (`manifests/ID.json`, after wrappers and prefixes are taken off).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files

from vcebench.data.registry import UnknownNameError

RUN_ROLES = ("prior", "classifier", "perceptual")
"""Roles without which most methods explain nothing."""
METHOD_ROLES = ("robust", "bridge", "autoencoder")
"""Roles that some methods need; all others are needed by metrics only."""


@dataclass(frozen=True)
class Card:
    """A checkpoint as its authors distribute it.

    Attributes:
        id: name of the card, and stem of the imported file.
        title: readable name, for tables.
        file: name of the distributed file.
        where: where the authors publish it.
        wrapper: entry of the file that holds the state dict; None if the file is the state dict.
        groups: entries that hold one state dict each; their names become the first part of the key.
        optional: patterns of keys that a file may lack (the network keeps its initial value).
        ignorable: patterns of further keys that a file may have.
        sha256_prefix: first digits of the checksum that the authors put in the file name.
        numpy_pickle: the file is a pickle of {name: numpy array}.
        prefix: what the network's keys begin with in the file.
        manifest: card whose keys and shapes this network has too; its own if empty.
        outputs: channels of the last convolution, where the manifest's network has more.
        average: entry of the file that holds a moving average of the wrapped state dict's tensors,
            without their names; the card is of that average. Imported files have names.
    """

    id: str
    title: str
    file: str
    where: str
    wrapper: str | None = None
    groups: tuple[str, ...] = ()
    optional: tuple[str, ...] = ("*.num_batches_tracked",)
    ignorable: tuple[str, ...] = ()
    sha256_prefix: str = ""
    numpy_pickle: bool = False
    prefix: str = ""
    manifest: str = ""
    outputs: int | None = None
    average: str = ""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Key → shape of every tensor of the network."""
        name = f"{self.manifest or self.id}.json"
        text = (files("vcebench.weights") / "manifests" / name).read_text()
        cut = () if self.outputs is None else (self.outputs,)
        return {
            key: (*cut, *shape[1:]) if cut and key.startswith("out.2.") else tuple(shape)
            for key, shape in json.loads(text).items()
        }


_DIME = "model hub repository guillaumejs2403/DiME (linked in the README of guillaumejs2403/DiME)"
_ACE = "model hub repository guillaumejs2403/ACE (linked in the README of guillaumejs2403/ACE)"
_STEEX = "release assets of valeoai/STEEX on GitHub"
_DIVE = (
    "pretrained models of ServiceNow/beyond-trivial-explanations (a Zenodo record), or trained by "
    "its trainval.py"
)
_DECISION = "checkpoints_decision_densenet.tar.gz"


def _bridges(id: str, name: str, manifest: str) -> tuple[Card, Card]:
    """A checkpoint of RCSB as its code loads it, and the moving average that I²SB samples with."""
    raw = Card(
        id,
        f"RCSB bridge, {name}, raw network",
        f"the {name} bridge",
        "linked in the authors' repository of RCSB (openreview.net/forum?id=gqeXXrIMr0)",
        wrapper="net",
        ignorable=("noise_levels",),
        prefix="diffusion_model.",
        manifest=manifest,
        outputs=3,
    )
    title = f"RCSB bridge, {name}, moving average"
    return raw, replace(raw, id=f"{id}-ema", title=title, average="ema")


CARDS: dict[str, Card] = {
    card.id: card
    for card in (
        Card("celeba-prior", "DiME DDPM, CelebA 128", "ddpm-celeba.pt", _DIME),
        Card("celebahq-prior", "ACE DDPM, CelebA-HQ 256", "the CelebA-HQ diffusion model", _ACE),
        Card("bdd-prior", "ACE DDPM, BDD 256x512", "the BDD diffusion model", _ACE),
        Card(
            "imagenet-prior",
            "guided-diffusion, ImageNet 256 unconditional",
            "256x256_diffusion_uncond.pt",
            "README of openai/guided-diffusion",
        ),
        Card(
            "celeba-classifier",
            "DenseNet-121, DiVE/DiME",
            "classifier.pth",
            _DIME,
            groups=("feat_extract", "classifier"),
        ),
        Card(
            "celebahq-classifier",
            "DenseNet-121, STEEX CelebA-HQ",
            "celebamaskhq/checkpoint.tar",
            f"{_DECISION} among the {_STEEX}",
            wrapper="model_state_dict",
        ),
        Card(
            "bdd-classifier",
            "DenseNet-121, STEEX BDD-OIA",
            "bdd/checkpoint.tar",
            f"{_DECISION} among the {_STEEX}",
            wrapper="model_state_dict",
        ),
        Card(
            "imagenet-classifier",
            "ResNet-50, torchvision",
            "resnet50-0676ba61.pth",
            "torchvision, ResNet50_Weights.IMAGENET1K_V1",
            sha256_prefix="0676ba61",
        ),
        Card(
            "imagenet-robust",
            "ResNet-50, Madry + FT (several norms)",
            "the ResNet-50 that was fine-tuned in several norms",
            "readme of valentyn1boreiko/DVCEs (Madry + FT)",
            manifest="imagenet-classifier",
        ),
        Card(
            "imagenet-robust-l2",
            "ResNet-50, Madry, L2 ε 3",
            "imagenet_l2_3_0.pt",
            "README of MadryLab/robustness (ImageNet, L2, ε = 3.0)",
            wrapper="model",
            ignorable=("normalizer.*", "attacker.*"),
            prefix="model.",
            manifest="imagenet-classifier",
        ),
        Card(
            "celeba-autoencoder",
            "TC-VAE of DiVE, CelebA 128",
            "dive/checkpoint.pth",
            _DIVE,
            wrapper="model",
            prefix="model.",
        ),
        *_bridges("celeba-bridge", "CelebA 128", "celeba-prior"),
        *_bridges("celebahq-bridge", "CelebA-HQ 256", "imagenet-prior"),
        *_bridges("imagenet-bridge", "ImageNet 256", "imagenet-prior"),
        Card(
            "celeba-oracle",
            "attribute oracle, BTE/DiME (VGGFace2 ResNet-50)",
            "oracle.pth",
            _DIME,
            groups=("feat_extract", "classifier"),
        ),
        Card(
            "celebahq-oracle",
            "attribute oracle, STEEX (VGGFace2 ResNet-50)",
            "celebamaskhq/checkpoint.tar",
            f"checkpoints_oracle_attribute.tar.gz among the {_STEEX}",
            wrapper="model_state_dict",
        ),
        Card(
            "vggface2",
            "VGGFace2 ResNet-50",
            "resnet50_ft_weight.pkl",
            "README of cydonia999/VGGFace2-pytorch",
            numpy_pickle=True,
        ),
        Card(
            "facenet",
            "facenet-pytorch InceptionResnetV1 (VGGFace2)",
            "20180402-114759-vggface2.pt",
            "release v2.2.9 of timesler/facenet-pytorch on GitHub",
            ignorable=("logits.*",),
        ),
        Card(
            "simsiam",
            "SimSiam ResNet-50, 100 epochs, batch 256",
            "checkpoint_0099.pth.tar",
            "README of facebookresearch/simsiam (100 epochs, batch size 256)",
            wrapper="state_dict",
        ),
        Card(
            "inception",
            "pytorch-fid Inception-v3",
            "pt_inception-2015-12-05-6726825d.pth",
            "release fid_weights of mseitzer/pytorch-fid on GitHub",
            sha256_prefix="6726825d",
        ),
        Card(
            "vgg19",
            "VGG-19 features[:18], torchvision",
            "vgg19-dcbb9e9d.pth",
            "torchvision, VGG19_Weights.IMAGENET1K_V1",
            ignorable=("features.*", "classifier.*"),
            sha256_prefix="dcbb9e9d",
        ),
        Card(
            "lpips",
            "LPIPS, VGG-16",
            "vgg16-397923af.pth",
            "torchvision, VGG16_Weights.IMAGENET1K_V1 (the linear layers are in the lpips package)",
            ignorable=("classifier.*",),
            sha256_prefix="397923af",
        ),
    )
}

_COMMON = {
    "perceptual": "vgg19",
    "representation": "inception",
    "semantic": "simsiam",
    "lpips": "lpips",
}

ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "celeba": {
        "prior": ("celeba-prior",),
        "bridge": ("celeba-bridge", "celeba-bridge-ema"),
        "autoencoder": ("celeba-autoencoder",),
        "classifier": ("celeba-classifier",),
        "oracle": ("celeba-oracle",),
        "identity": ("vggface2", "facenet"),
    },
    "celebahq": {
        "prior": ("celebahq-prior",),
        "bridge": ("celebahq-bridge", "celebahq-bridge-ema"),
        "classifier": ("celebahq-classifier",),
        "oracle": ("celebahq-oracle",),
        "identity": ("vggface2", "facenet"),
    },
    "bdd100k": {
        "prior": ("bdd-prior",),
        "classifier": ("bdd-classifier",),
    },
    "bddoia": {
        "prior": ("bdd-prior",),
        "classifier": ("bdd-classifier",),
    },
    "imagenet": {
        "prior": ("imagenet-prior",),
        "bridge": ("imagenet-bridge", "imagenet-bridge-ema"),
        "classifier": ("imagenet-classifier",),
        "robust": ("imagenet-robust", "imagenet-robust-l2"),
    },
}
"""Data set → role → cards that can play it, the first one that is there does."""

for _roles in ROLES.values():
    _roles.update({role: (id,) for role, id in _COMMON.items()})


def card_named(name: str) -> Card:
    """The card called `name`, or the first one of "DATASET/ROLE".

    Raises `UnknownNameError` with the nearest names.
    """
    _, _, role = name.partition("/")
    if role:
        known = {f"{d}/{r}": ids[0] for d, roles in ROLES.items() for r, ids in roles.items()}
        if name not in known:
            raise UnknownNameError("role", name, known)
        return CARDS[known[name]]
    if name not in CARDS:
        raise UnknownNameError("checkpoint", name, CARDS)
    return CARDS[name]


def roles_of(dataset: str) -> dict[str, tuple[Card, ...]]:
    """Role → cards that can play it, for one of the real data sets."""
    if dataset not in ROLES:
        raise UnknownNameError("data set with published checkpoints", dataset, ROLES)
    return {role: tuple(CARDS[id] for id in ids) for role, ids in ROLES[dataset].items()}
