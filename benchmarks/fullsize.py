"""CelebA's networks at their full size, with random weights, on random images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from benchmarks.setting import Scale, Setting, setting
from vcebench.data.base import Example, ImageSet, Task
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.classifier import BinaryClassifier
from vcebench.models.densenet import DenseNetClassifier
from vcebench.models.features import VGGFeatures
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.normalise import Normalised
from vcebench.models.published import PRIOR_FLAGS
from vcebench.models.unet import UNet
from vcebench.running.assemble import worker_of

SIDE = 128
SMILE = 31


@dataclass(frozen=True)
class RandomImages:
    """Uniform noise in place of photographs: no operation's time depends on the pixels."""

    count: int
    task: Task
    name: str = "random"
    split: str = "test"
    size: tuple[int, int] = (SIDE, SIDE)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 256, (3, *self.size), dtype=torch.uint8, generator=generator)
        return Example(str(index), image, 0)


def full_size(
    batch_size: int,
    tau: int,
    batches: int = 1,
    method: str = "maskdime",
    device: str = "cpu",
    precision: str = "exact",
) -> Setting:
    """A method on full batches through these networks, at the first λ_c."""
    count = batch_size * batches
    given = setting(Scale(batch_size=batch_size), count, method=method, tau=tau, rungs=(8.0,))
    config = given.config.model_copy(update={"device": device, "precision": precision})
    torch.manual_seed(0)
    unet = UNet(config_from_flags(PRIOR_FLAGS["celeba-prior"])[0])
    classifier = BinaryClassifier(DenseNetClassifier(40), index=SMILE)
    phi: nn.Module = Normalised(VGGFeatures())
    for network in (unet, classifier, phi):
        network.eval().requires_grad_(False).to(device)
    prior = Prior(unet, linear_schedule(500, 200))
    bundle = replace(given.bundle, prior=prior, classifier=classifier, perceptual=phi)
    images: ImageSet = RandomImages(count, given.images.task)
    return Setting(config, images, bundle, worker_of(config, bundle))
