"""A prior of somebody's own images: `vcebench train prior --data FOLDER`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vcebench.data.files import BadImageError, Geometry
from vcebench.data.folder import FolderSet, folder_set
from vcebench.data.listed import UNLABELLED, ListedSet
from vcebench.data.listing import list_all
from vcebench.errors import UserError, one_line
from vcebench.folders.digests import input_digest
from vcebench.folders.images import dequantise
from vcebench.settings.custom import task_of
from vcebench.training.diffusion import DiffusionLoss
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part, train_part

CHAIN, RESPACING = 500, 200


@dataclass(frozen=True)
class PriorPlan:
    """How large the prior is and how long it is trained.

    Attributes:
        size: height and width of the images, multiples of 8.
        width: channels of the first level, a multiple of 32; the four levels have 1, 2, 3 and 4
            times as many.
        steps: training steps; the protocol's faces need hundreds of thousands.
        batch: images in a step.
        flip: whether a mirrored image is as good as the image.
    """

    size: tuple[int, int]
    width: int = 64
    steps: int = 100_000
    batch: int = 16
    flip: bool = True
    seed: int = 0


def train_prior(
    folder: Path,
    output: Path,
    plan: PriorPlan,
    restart: bool = False,
    progress: bool = True,
    skip_bad: bool = False,
) -> Path:
    """Train a prior on all images of a folder, or go on training it; returns the network file.

    Args:
        folder: images, in class sub-folders or not; they are cropped to the plan's size.
        output: folder of prior.safetensors; the training state lies in its folder `state`.
        restart: begin anew.
        progress: report on stderr.
        skip_bad: leave out images that cannot be read, and say so.

    Everything that decides the training, the pixels included, is part of its recipe: other images
    make another prior.

    Raises UserError: no image, one that cannot be read, or a size or width that does not fit.
    """
    height, width = plan.size
    if height % 8 or width % 8 or min(plan.size) < 8:
        raise UserError(f"the size is {height}x{width}; use multiples of 8")
    if plan.width < 32 or plan.width % 32:
        raise UserError(f"the width is {plan.width}; use a multiple of 32")
    images = folder_set("own", task_of(()), folder, list_all(folder), Geometry(height, width))
    usable, digest = _look_through(images, skip_bad)
    for line in images.notes():
        print(line, file=sys.stderr)
    part = _part(images, usable, digest, plan)
    return train_part("own", part, output, restart=restart, progress=progress)


def _look_through(images: FolderSet, skip_bad: bool) -> tuple[list[int], str]:
    """Positions of the images that can be read, and a digest of all their pixels in order."""
    digest, usable = hashlib.sha256(), []
    for index in range(len(images)):
        try:
            example = images[index]
        except BadImageError as error:
            if not skip_bad:
                raise
            print(f"skipped: {one_line(error)}", file=sys.stderr)
            continue
        usable.append(index)
        digest.update(input_digest(example.image, UNLABELLED).encode())
    if not usable:
        raise UserError(f"{images.root} holds no image that can be read; put some in")
    return usable, digest.hexdigest()


def _part(images: ListedSet, usable: Sequence[int], digest: str, plan: PriorPlan) -> Part:
    return Part(
        name="prior",
        title="prior of one's own images",
        summary=f"Trained on {len(usable)} images of {plan.size[0]}x{plan.size[1]} pixels.",
        architecture="unet",
        config={
            "model_channels": plan.width,
            "channel_mult": (1, 2, 3, 4),
            "num_res_blocks": 1,
            "attention_factors": (8,),
            "num_heads": 4,
            "resblock_updown": True,
        },
        settings=LoopSettings(
            steps=plan.steps, seed=plan.seed, learning_rate=2e-4, ema=0.9995, save_every=500
        ),
        loss=lambda: _loss(images, usable, plan),
        inputs={
            "images": len(usable),
            "pixels": digest,
            "size": list(plan.size),
            "batch": plan.batch,
            "flip": plan.flip,
        },
        facts={"schedule": {"name": "linear", "steps": CHAIN, "respacing": RESPACING}},
    )


def _loss(images: ListedSet, usable: Sequence[int], plan: PriorPlan) -> Loss:
    diffusion = DiffusionLoss(CHAIN)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(usable), (plan.batch,), generator=generator).tolist()
        x = dequantise(torch.stack([images[usable[index]].image for index in chosen]))
        if plan.flip:
            mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
            x = torch.where(mirrored, x.flip(3), x)
        return diffusion(network, x, generator)

    return loss
