"""The latent diffusion model of somebody's own task."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import torch

from vcebench.errors import UserError
from vcebench.models.latent_files import load_latent
from vcebench.models.latent_role import CLASS, TOKENS, tell
from vcebench.models.own_prior import LoadedPrior
from vcebench.settings.custom import CustomTask
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
    model = load_latent(part.stable_diffusion)
    geometry = task.data.geometry()
    shown = (geometry.height, geometry.width)
    if part.size is not None:
        size = (part.size, part.size) if isinstance(part.size, int) else part.size
        model = model.seeing(size, shown)
    told = tell(model, part.stable_diffusion, classes, needs, device, said)
    return LoadedPrior(told.prior, part.stable_diffusion.name, hashes=told.hashes)


def _in_words(prompts: tuple[str, ...], classes: tuple[int, ...]) -> dict[int, str]:
    if not prompts:
        raise UserError("[latent] needs prompts: what images of each class show, in their order")
    if len(prompts) != len(classes):
        raise UserError(
            f"[latent] has {len(prompts)} prompts for {len(classes)} classes; give one each"
        )
    return dict(zip(classes, prompts, strict=True))
