"""From the region of a configuration to what finds it: for a batch, or for each image."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from vcebench.data.base import HasRegions, HasSegments, ImageSet
from vcebench.data.masks import MaskFolder
from vcebench.errors import UserError, user_errors
from vcebench.methods.core.attributions import ATTRIBUTIONS
from vcebench.methods.core.regions import Cells, FreeForm, Region, everything
from vcebench.methods.registry import METHODS
from vcebench.models.attributions import captum_attribution
from vcebench.settings.config import RunConfig
from vcebench.settings.presets import region_cell
from vcebench.settings.regions import CAPTUM, RegionChoice, parse_region
from vcebench.settings.request import needs_of

Finder = Callable[[int, str], Tensor]
"""Position and id of an image → where it may change, bool (1, H, W)."""


def region_of(config: RunConfig, shape: tuple[int, int, int]) -> Region | None:
    """What finds the regions of a batch; None if nobody asked, or they belong to the images.

    Raises UserError: an attribution that is not there.
    """
    if config.region is None:
        return None
    choice = parse_region(config.region)
    return None if choice.per_image else _looked_for(choice, config.dataset, shape)


def _looked_for(choice: RegionChoice, dataset: str, shape: tuple[int, int, int]) -> Region:
    if choice.kind == "all":
        return everything
    if choice.kind == "free-form":
        return FreeForm(choice.low, choice.high)
    name = choice.name
    attribution = (
        captum_attribution(name.removeprefix(CAPTUM))
        if name.startswith(CAPTUM)
        else ATTRIBUTIONS[name]
    )
    cell = region_cell(dataset, shape[1:]) if choice.kind == "cells" else 1
    return Cells(choice.high, cell, attribution)


def given_region(
    method: str, asked: Tensor | str | None, images: Tensor
) -> tuple[Region | None, list[Tensor | None]]:
    """Where images from Python may change: what finds the regions of a batch, and each one's own.

    Args:
        method: id of a method.
        asked: bool with shape (N, 1, H, W) or (N, H, W), or a word of `vcebench.settings.regions`.
        images: uint8 with shape (N, 3, H, W).

    Raises UserError: the method keeps to no region or has another one, or what is asked for does
        not fit.
    """
    count, (height, width) = len(images), images.shape[2:]
    entry = METHODS[method]
    nobody: list[Tensor | None] = [None] * count
    if entry.region is not None and asked is not None:
        raise UserError(f"region is {entry.region} by definition of {method}; leave it away")
    asked = entry.region if asked is None else asked
    if asked is None:
        return None, nobody
    if not entry.factory.regional:
        raise UserError(
            f"{method} cannot be told where to change an image; use a method that is guided in "
            "pixels, such as maskdime or rcsb-c"
        )
    if isinstance(asked, Tensor):
        shapes = (count, 1, height, width), (count, height, width)
        if asked.dtype != torch.bool or tuple(asked.shape) not in shapes:
            raise UserError(
                f"region is {asked.dtype} of shape {tuple(asked.shape)}; give bool of shape "
                f"{shapes[0]}, True where an image may change"
            )
        return None, list(asked.reshape(shapes[0]).cpu())
    choice = parse_region(asked)
    if choice.per_image:
        raise UserError(f"where that is in these images is not known: {asked}; give a tensor")
    return _looked_for(choice, "", (3, height, width)), nobody


def finder_of(config: RunConfig, images: ImageSet) -> Finder | None:
    """What finds the region of an image before it is explained; None if nothing has to.

    Masks of one's own are all read once, so that what lacks is said before anything is made.

    Raises UserError: the images have no such thing, or a mask is missing, damaged or of another
        size, or the masks are not those the configuration is about.
    """
    if config.region is None:
        return None
    choice = parse_region(config.region)
    if not choice.per_image:
        return None
    if choice.kind == "files":
        return _masks(config, images, choice.name)
    if not isinstance(images, HasRegions):
        raise UserError(
            f"where things are in {config.dataset} is not known; --region {config.region} is for "
            "rendered sets"
        )
    known, part = images, choice.name or None
    with user_errors():
        known.region(config.indices()[0], part)  # an unknown part is told before anything is made
    return lambda index, image_id: known.region(index, part)[None]


def maps_of(config: RunConfig, images: ImageSet) -> Callable[[int], Tensor] | None:
    """Position of an image → its map, uint8 (H, W), for methods that need one; else None.

    Raises UserError: nobody knows what is where in these images.
    """
    if "segments" not in needs_of(config.method, config.guidance.lambda_perceptual):
        return None
    if not isinstance(images, HasSegments):
        raise UserError(
            f"what is where in {config.dataset} is not known; {config.method} is for rendered sets"
        )
    known = images
    return lambda index: torch.from_numpy(known.segments([index])[0])


def _masks(config: RunConfig, images: ImageSet, digest: str) -> Finder:
    if config.masks is None:
        raise UserError("this run was made with masks from a folder; say --region FOLDER again")
    folder = MaskFolder(Path(config.masks))
    if folder.digest() != digest:
        raise UserError(
            f"the masks in {folder.path} changed since the run began; restore them, or give "
            "another --output"
        )
    left = folder.check(images, config.indices(), config.skip_bad)
    if left:
        print(
            f"{len(left)} of {len(folder.files)} masks in {folder.path} belong to no image of this "
            f"run ({', '.join(left[:3])}{', …' * (len(left) > 3)})",
            file=sys.stderr,
        )
    return lambda index, image_id: folder.mask(images, index, image_id)
