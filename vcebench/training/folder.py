"""Networks of somebody's own images: `vcebench train prior|bridge --data FOLDER`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vcebench.data.files import Geometry
from vcebench.data.folder import folder_set
from vcebench.data.listed import ListedSet
from vcebench.data.listing import list_all
from vcebench.errors import UserError
from vcebench.folders.images import dequantise
from vcebench.settings.custom import task_of
from vcebench.training.bridge import BRIDGE, bridge_loss
from vcebench.training.diffusion import DiffusionLoss
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part, train_part

CHAIN, RESPACING = 500, 200


@dataclass(frozen=True)
class OwnPlan:
    """How large a network of one's own images is and how long it is trained.

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


def train_own(
    role: str,
    folder: Path,
    output: Path,
    plan: OwnPlan,
    restart: bool = False,
    progress: bool = True,
) -> Path:
    """Train a network on all images of a folder, or go on training it; returns the network file.

    Args:
        role: "prior" or "bridge"; a bridge begins from OUTPUT/prior.safetensors if that is there.
        folder: images, in class sub-folders or not; they are cropped to the plan's size.
        output: folder of ROLE.safetensors; the training state lies in its folder `state`.
        restart: begin anew.
        progress: report on stderr.

    Raises UserError: no image, one that cannot be read, or a size or width that does not fit.
    """
    height, width = plan.size
    if height % 8 or width % 8 or min(plan.size) < 8:
        raise UserError(f"the size is {height}x{width}; use multiples of 8")
    if plan.width < 32 or plan.width % 32:
        raise UserError(f"the width is {plan.width}; use a multiple of 32")
    images = folder_set("own", task_of(()), folder, list_all(folder), Geometry(height, width))
    part = _prior(images, plan) if role == "prior" else _bridge(images, plan, output)
    return train_part("own", part, output, restart=restart, progress=progress)


def _prior(images: ListedSet, plan: OwnPlan) -> Part:
    def open_data() -> Loss:
        diffusion = DiffusionLoss(CHAIN)
        return lambda network, generator: diffusion(
            network, _batch(images, plan, generator), generator
        )

    return Part(
        name="prior",
        title="prior of one's own images",
        summary=_summary(images, plan),
        architecture="unet",
        config=_config(plan),
        settings=_settings(plan),
        loss=open_data,
        facts={"schedule": {"name": "linear", "steps": CHAIN, "respacing": RESPACING}},
    )


def _bridge(images: ListedSet, plan: OwnPlan, output: Path) -> Part:
    prior = output / "prior.safetensors"
    return Part(
        name="bridge",
        title="inpainting bridge of one's own images",
        summary=_summary(images, plan),
        architecture="unet",
        config=_config(plan) | {"out_channels": 3},
        settings=_settings(plan),
        loss=lambda: bridge_loss(
            lambda generator: _batch(images, plan, generator), plan.size, plan.seed, bf16=False
        ),
        begin=prior if prior.exists() else None,
        facts={"bridge": BRIDGE},
    )


def _summary(images: ListedSet, plan: OwnPlan) -> str:
    return f"Trained on {len(images)} images of {plan.size[0]}x{plan.size[1]} pixels."


def _config(plan: OwnPlan) -> dict[str, Any]:
    return {
        "model_channels": plan.width,
        "channel_mult": (1, 2, 3, 4),
        "num_res_blocks": 1,
        "attention_factors": (8,),
        "num_heads": 4,
        "resblock_updown": True,
    }


def _settings(plan: OwnPlan) -> LoopSettings:
    return LoopSettings(
        steps=plan.steps, seed=plan.seed, learning_rate=2e-4, ema=0.9995, save_every=500
    )


def _batch(images: ListedSet, plan: OwnPlan, generator: torch.Generator) -> Tensor:
    chosen = torch.randint(len(images), (plan.batch,), generator=generator).tolist()
    x = dequantise(torch.stack([images[index].image for index in chosen]))
    if plan.flip:
        mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
        x = torch.where(mirrored, x.flip(3), x)
    return x
