"""Networks of somebody's own images: `vcebench train prior|bridge --data FOLDER`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.data.files import BadImageError, Geometry
from vcebench.data.folder import FolderSet, folder_set
from vcebench.data.listed import UNLABELLED, ListedSet
from vcebench.data.listing import list_all
from vcebench.data.spread import spread
from vcebench.errors import UserError, one_line
from vcebench.folders.digests import input_digest
from vcebench.folders.images import dequantise
from vcebench.settings.custom import task_of
from vcebench.training import augment
from vcebench.training.beginning import check_fit
from vcebench.training.bridge import BRIDGE, bridge_loss
from vcebench.training.budget import steps_within
from vcebench.training.diffusion import DiffusionLoss
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.own_plan import CHAIN, FOCUS, Judge, OwnPlan
from vcebench.training.own_prior import (
    JUDGED,
    MEASURED,
    RESPACING,
    SHOWN,
    Draw,
    Watch,
    figures,
    lines_on,
)
from vcebench.training.parts import Part, train_part
from vcebench.weights.shipped import read_card, sha256


def train_own(
    role: str,
    folder: Path,
    output: Path,
    plan: OwnPlan,
    restart: bool = False,
    progress: bool = True,
    skip_bad: bool = False,
    draw: Draw | None = None,
) -> Path:
    """Train a network on all images of a folder, or go on training it; returns the network file.

    Args:
        role: "prior" or "bridge"; a bridge begins from OUTPUT/prior.safetensors if that is there.
        folder: images, in class sub-folders or not; they are brought to the plan's size.
        output: folder of ROLE.safetensors; the training state lies in its folder `state`.
        restart: begin anew.
        progress: report on stderr.
        skip_bad: leave out images that cannot be read, and say so.
        draw: makes the picture OUTPUT/prior.png at every checkpoint of a prior.

    Everything that decides the training, the pixels included, is part of its recipe: other images
    make another network.

    Raises UserError: no image, one that cannot be read, or a size or width that does not fit.
    """
    images = folder_set(
        "own", task_of(()), folder, list_all(folder), Geometry(*plan.size, plan.fit)
    )
    return train_on(role, images, output, plan, restart, progress, skip_bad, draw=draw)


def train_on(
    role: str,
    images: FolderSet,
    output: Path,
    plan: OwnPlan,
    restart: bool = False,
    progress: bool = True,
    skip_bad: bool = False,
    judge: Judge | None = None,
    draw: Draw | None = None,
) -> Path:
    """The same on an image set that is there already, of the plan's size; see `train_own`.

    judge: the classifier that is to be explained: a prior is measured by what it keeps, on images
        that it did not learn from if the judge has some.
    """
    height, width = plan.size
    if height % 8 or width % 8 or min(plan.size) < 8:
        raise UserError(f"the size is {height}x{width}; use multiples of 8")
    if plan.width < 32 or plan.width % 32:
        raise UserError(f"the width is {plan.width}; use a multiple of 32")
    if plan.begin is not None:
        check_fit(plan.begin, plan.size, plan.channels)
    usable, digests = look_through(images, skip_bad)
    for line in images.notes():
        print(line, file=sys.stderr)

    def part_of(plan: OwnPlan) -> Part:
        material = _Material(images, usable, digests, plan, judge)
        if role == "prior":
            x = material.some(SHOWN)
            chain, place = plan.chain, output / "prior.png"
            return _prior(material, None if draw is None else Watch(x, chain, place, draw))
        return _bridge(material, output / "prior.safetensors")

    if plan.budget is not None:
        seconds, place = plan.budget, output / "state" / f"{role}-budget.json"
        steps = steps_within(seconds, part_of(replace(plan, steps=1)), place, restart)
        plan = replace(plan, steps=steps)
        if progress:
            print(f"{role}: {steps:,} steps in the {seconds / 60:g} minutes", file=sys.stderr)
    path = train_part("own", part_of(plan), output, restart=restart, progress=progress)
    if progress and role == "prior":
        for line in lines_on(read_card(path)["measured"], plan.size):
            print(line, file=sys.stderr)
    return path


def look_through(
    images: FolderSet, skip_bad: bool, labelled: bool = False
) -> tuple[list[int], list[str]]:
    """Positions of the images that can be read, and a digest of the pixels of each.

    labelled: the digests are of their labels too.
    """
    digests, usable = [], []
    for index in range(len(images)):
        try:
            example = images[index]
        except BadImageError as error:
            if not skip_bad:
                raise
            print(f"skipped: {one_line(error)}", file=sys.stderr)
            continue
        usable.append(index)
        label = example.label if labelled else UNLABELLED
        digests.append(input_digest(example.image, label))
    if not usable:
        raise UserError(f"{images.root} holds no image that can be read; put some in")
    return usable, digests


def together(digests: Sequence[str]) -> str:
    """One digest of many, in their order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class _Material:
    """The images a network is trained on, and how.

    `usable` are positions of those to read, `digests` those of their pixels.
    """

    images: ListedSet
    usable: Sequence[int]
    digests: Sequence[str]
    plan: OwnPlan
    judge: Judge | None = None

    def batch(self, generator: torch.Generator) -> Tensor:
        """Images in [-1, 1], float32 (B, C, H, W)."""
        count = len(self.usable)
        chosen = torch.randint(count, (self.plan.batch,), generator=generator).tolist()
        x = self._opened(chosen)
        if self.plan.flip:
            x = augment.mirror(x, generator)
        return x

    def some(self, count: int) -> Tensor:
        """Images spread over all of them, in [-1, 1], float32 (B, C, H, W)."""
        return self._opened(spread(len(self.usable), count))

    def unseen(self, count: int) -> Tensor | None:
        """The same of the judge's images, those left out that are trained on; None without any."""
        theirs = None if self.judge is None else self.judge.images
        if theirs is None:
            return None
        seen, pictures = set(self.digests), []
        for index in spread(len(theirs), count):
            try:
                picture = theirs[index].image
            except BadImageError:
                continue
            if input_digest(picture, UNLABELLED) not in seen:
                pictures.append(picture)
        return self._scaled(pictures) if pictures else None

    def _opened(self, chosen: Sequence[int]) -> Tensor:
        return self._scaled([self.images[self.usable[k]].image for k in chosen])

    def _scaled(self, pictures: Sequence[Tensor]) -> Tensor:
        x = dequantise(torch.stack([*pictures]))
        return x if self.plan.channels == 3 else x.mean(dim=1, keepdim=True)

    def part(self, name: str, title: str, loss: Callable[[], Loss], **more: Any) -> Part:
        """What is alike in all networks of one's own images."""
        plan, count = self.plan, len(self.usable)
        narrow = plan.narrow
        return Part(
            name=name,
            title=title,
            summary=f"Trained on {count} images of {plan.size[0]}x{plan.size[1]} pixels.",
            settings=LoopSettings(
                steps=plan.steps,
                seed=plan.seed,
                learning_rate=1e-3 if narrow else 2e-4,
                ema=0.999 if narrow else 0.9995,
                save_every=500,
            ),
            loss=loss,
            inputs={
                "images": count,
                "pixels": together(self.digests),
                "size": list(plan.size),
                "batch": plan.batch,
                "flip": plan.flip,
                **({"channels": 1} if plan.channels == 1 else {}),
                **({"begin": sha256(plan.begin.path)} if plan.begin is not None else {}),
            },
            **more,
        )


def _prior(material: _Material, watch: Watch | None) -> Part:
    chain = material.plan.chain

    def open_data() -> Loss:
        diffusion = DiffusionLoss(chain, focus=chain * FOCUS // CHAIN)
        return lambda network, generator: diffusion(
            network, material.batch(generator).to(material.plan.device), generator
        )

    return material.part(
        "prior",
        "prior of one's own images",
        open_data,
        facts={"schedule": {"name": "linear", "steps": chain, "respacing": RESPACING}},
        watch=watch,
        device=material.plan.device,
        measure=lambda network: _figures(network, material),
        **_network(material.plan),
    )


def _network(plan: OwnPlan) -> dict[str, Any]:
    """Architecture, configuration and beginning of a part."""
    if plan.begin is not None:
        begun = plan.begin
        return {"architecture": begun.architecture, "config": begun.config, "begin": begun.path}
    config = {
        "model_channels": plan.width,
        "channel_mult": (1, 1, 2, 3) if plan.narrow else (1, 2, 3, 4),
        "num_res_blocks": 1,
        "attention_factors": (8,),
        "num_heads": 3 if plan.narrow else 4,
        "resblock_updown": not plan.narrow,
    }
    if plan.channels == 1:
        config |= {"in_channels": 1, "out_channels": 2}
    return {"architecture": "unet", "config": config}


def _figures(network: nn.Module, material: _Material) -> dict[str, Any]:
    """What a prior's card says of it."""
    judge, plan, unseen = material.judge, material.plan, material.unseen(JUDGED)
    x = material.some(MEASURED if judge is None else JUDGED) if unseen is None else unseen
    network, x = network.to(plan.device), x.to(plan.device)
    return figures(network, plan.chain, x, unseen is not None, judge)


def _bridge(material: _Material, prior: Path) -> Part:
    # A bridge walks in colours: grey images are three times the same.
    plan = replace(material.plan, channels=3, begin=None)
    material, described = replace(material, plan=plan), _network(plan)
    return material.part(
        "bridge",
        "inpainting bridge of one's own images",
        lambda: bridge_loss(material.batch, plan.size, plan.seed, bf16=False),
        architecture=described["architecture"],
        config={**described["config"], "out_channels": 3},
        begin=prior if prior.exists() else None,
        facts={"bridge": BRIDGE},
    )
