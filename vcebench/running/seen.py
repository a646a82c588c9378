"""What a person would see of the first counterfactuals, in one line, before the rest is made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.running.ladder import Final
from vcebench.running.tries import Outcome

FINE = 0.5
"""Share of fine detail from which an edit is mostly that: white noise has 8/9."""

MORE = 3.0
"""So many times the share of the images themselves, which may be fine patterns."""


def seen(finals: Sequence[Final]) -> list[str]:
    """Lines on a batch: flips, how far the rest of the images moved, and what edits look like.

    The rest of an image is what lies outside the method's mask, or without one the half of its
    pixels that changed least. Fine detail is what a mean over 3x3 pixels takes away.
    """
    found = [f for f in finals if f.outcome.finite and not f.outcome.already]
    if not found:
        return []
    before, after = (
        torch.stack(images).float()
        for images in (
            [final.attempt.item.image for final in found],
            [final.outcome.image for final in found],
        )
    )
    edit = after - before
    change = edit.abs().mean(dim=1)
    moved = [_rest(one, final.outcome) for one, final in zip(change, found, strict=True)]
    fine, usual = fine_share(edit), fine_share(before)
    flipped = sum(final.outcome.flipped for final in found)
    lines = [
        f"first batch: {flipped} of {len(found)} flipped; beyond the edit pixels moved by "
        f"{sum(moved) / len(moved):.1f} of 255 levels; {fine:.0%} of the edits is fine detail, "
        f"{usual:.0%} of the images"
    ]
    if fine > FINE and fine > MORE * usual:
        lines.append(
            "edits are mostly high-frequency: this looks like an adversarial attack, see "
            "docs/own-data.md#calibrate"
        )
    return lines


def fine_share(images: Tensor) -> float:
    """Share of the variance of some images that a mean over 3x3 pixels takes away, on average.

    Args:
        images: float (B, C, H, W), or differences of images.
    """
    centred = images - images.mean(dim=(2, 3), keepdim=True)
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    detail = images - F.avg_pool2d(padded, 3, stride=1)
    total = centred.square().sum(dim=(1, 2, 3))
    share = detail.square().sum(dim=(1, 2, 3)) / total.clamp(min=torch.finfo(total.dtype).tiny)
    return float(share[total > 0].mean()) if bool((total > 0).any()) else 0.0


def _rest(change: Tensor, outcome: Outcome) -> float:
    """Mean change (H, W) where a method did not mean to change an image."""
    mask = outcome.mask_z
    if mask is not None and not bool(mask.all()):
        return float(change[~mask[0].cpu()].mean())
    flat = change.flatten().sort().values
    return float(flat[: len(flat) // 2].mean())
