"""Images that somebody hands over from Python, and what is asked of each.

Every refusal is a `UserError` that says what to give instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vcebench.errors import UserError
from vcebench.folders.images import dequantise, quantise
from vcebench.models.classifier import TargetClassifier
from vcebench.running.tries import Item


def levels_of(images: Tensor, value_range: tuple[float, float] | None) -> Tensor:
    """The images as uint8; refuses other shapes and ranges."""
    if not isinstance(images, Tensor):
        raise UserError(f"images are a {type(images).__name__}; give a torch tensor")
    shape = tuple(images.shape)
    if images.ndim != 4 or shape[1] not in (1, 3) or len(images) == 0:
        raise UserError(
            f"images have shape {shape}; give (N, 3, H, W), or (N, 1, H, W), with N of at least 1"
        )
    below, above = value_range or (-1.0, 1.0)
    if not below < above:
        raise UserError(f"value_range is {value_range}; give (black, white), such as (0, 1)")
    if images.dtype == torch.uint8:
        return images.cpu()
    if not images.is_floating_point():
        raise UserError(f"images are {images.dtype}; give uint8, or float in [-1, 1]")
    if not bool(images.isfinite().all()):
        raise UserError("images hold NaN or infinity; give float in [-1, 1]")
    low, high = float(images.min()), float(images.max())
    if low < below or high > above:
        raise UserError(
            f"float images reach from {low:g} to {high:g}; give float in [-1, 1], uint8, or say "
            "value_range=(black, white)"
        )
    if value_range is None and low >= 0:
        warnings.warn(
            "no value of the images is below 0: they are read as [-1, 1], where 0 is grey; say "
            "value_range=(0, 1) if 0 is black, or value_range=(-1, 1) if this is right",
            stacklevel=3,
        )
    if (below, above) != (-1.0, 1.0):
        images = (images.float() - below) * (2 / (above - below)) - 1
    return quantise(images).cpu()


def check_segments(
    segments: Tensor | None, levels: Tensor, method: str, needs: frozenset[str]
) -> None:
    """Refuse maps that are missing, or are not those of the images."""
    wanted = (len(levels), *levels.shape[2:])
    if segments is None:
        if "segments" in needs:
            raise UserError(f"{method} needs to know what is where; give segments=…, {wanted}")
    elif segments.dtype != torch.uint8 or tuple(segments.shape) != wanted:
        raise UserError(
            f"segments are {segments.dtype} with shape {tuple(segments.shape)}; give uint8 with "
            f"shape {wanted}"
        )


def targets_of(
    target: int | Sequence[int] | Tensor | None,
    images: Tensor,
    classifier: TargetClassifier,
    device: torch.device,
) -> list[int | None]:
    """One target class for each image, or None each."""
    if target is None:
        return [None] * len(images)
    try:
        wanted = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"target is {target!r}; give class numbers, counted from 0") from None
    if wanted.ndim == 0:
        wanted = wanted.expand(len(images))
    if wanted.dtype in (torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise UserError(f"target is {wanted.dtype}; give class numbers, counted from 0")
    if wanted.shape != (len(images),):
        raise UserError(
            f"target has shape {tuple(wanted.shape)}; give one class, or one for each of the "
            f"{len(images)} images"
        )
    with torch.no_grad():
        classes = classifier.probabilities(dequantise(images[:1].to(device))).shape[1]
    low, high = int(wanted.min()), int(wanted.max())
    if low < 0 or high >= classes:
        raise UserError(f"target reaches from {low} to {high}; use classes 0 … {classes - 1}")
    return [int(value) for value in wanted]


def items_of(
    images: Tensor,
    ids: Sequence[str] | None,
    targets: Sequence[int | None],
    regions: Sequence[Tensor | None],
    segments: Tensor | None,
) -> Iterator[Item]:
    """The images one by one with what belongs to each."""
    names = [f"image-{i:05d}" for i in range(len(images))] if ids is None else list(ids)
    if len(names) != len(images) or len(set(names)) != len(names):
        raise UserError(f"give one id for each of the {len(images)} images, no two the same")
    rows = zip(names, images, targets, regions, strict=True)
    for index, (name, image, target, region) in enumerate(rows):
        where = None if segments is None else segments[index].cpu()
        yield Item(name, index, image, -1, target=target, region=region, segments=where)
