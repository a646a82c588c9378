"""The latent diffusion model of somebody's own task."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import torch

from vcebench.data.files import Geometry
from vcebench.errors import UserError
from vcebench.models.latent import LatentModel
from vcebench.models.latent_files import load_latent
from vcebench.models.latent_role import CLASS, TOKENS, tell
from vcebench.models.own_prior import LoadedPrior
from vcebench.settings.custom import CustomTask
from vcebench.settings.parts import LatentPart
from vcebench.settings.prompts import Prompts


def load_own_latent(
    task: CustomTask, needs: Set[str], device: torch.device | str, prompts: Prompts | None = None
) -> LoadedPrior:
    """The latent model that a task's file describes, told of its classes.

    Args:
        prompts: in place of those of the file.

    Raises UserError: there is none, it cannot be loaded, or nobody said what to tell it.
    """
    part = task.latent
    if part is None:
        raise UserError(
            "the method walks among the latents of a diffusion model: add [latent] with "
            'stable_diffusion = "FOLDER" and prompts (docs/own-data.md)'
        )
    if CLASS in needs:
        raise UserError("a model that is told classes is for imagenet and digits; use ldce-txt")
    classes = task.task().classes
    if prompts is None and TOKENS in needs and part.tokens is not None:
        said: dict[int, str] | Path = part.tokens
    else:
        said = _in_words(prompts or part.prompts, classes)
    model = load_own_model(part, task.data.geometry())
    told = tell(model, part.stable_diffusion, classes, needs, device, said)
    return LoadedPrior(told.prior, part.stable_diffusion.name, hashes=told.hashes)


def load_own_model(part: LatentPart, geometry: Geometry) -> LatentModel:
    """The model that a section [latent] names, for pictures of a task's size."""
    model = load_latent(part.stable_diffusion)
    if part.size is None:
        return model
    size = (part.size, part.size) if isinstance(part.size, int) else part.size
    return model.seeing(size, (geometry.height, geometry.width))


def _in_words(prompts: tuple[str, ...], classes: tuple[int, ...]) -> dict[int, str]:
    if not prompts:
        raise UserError("[latent] needs prompts: what images of each class show, in their order")
    if len(prompts) != len(classes):
        raise UserError(
            f"[latent] has {len(prompts)} prompts for {len(classes)} classes; give one each"
        )
    return dict(zip(classes, prompts, strict=True))
