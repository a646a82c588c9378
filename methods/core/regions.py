"""Regions: the pixels that an explanation may change, found before it begins.

Reference: Rethinking Visual Counterfactual Explanations Through Region Constraint (Sobieski et
al., ICLR 2025), called RCSB; what its paper leaves open is as in its authors' code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vcebench.methods.core import masks
from vcebench.methods.core.attributions import Attribution, integrated_gradients
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import BoundGuidance
from vcebench.methods.core.noise import Noise

STROKE_DRAWS = 57
"""Uniform numbers behind one drawing of `strokes`."""
_LINES, _SEGMENTS = 4, 5
_MASS = 0.98
_THRESHOLDS = 200
_ATTEMPTS = 1000


def strokes(uniform: Tensor, height: int, width: int) -> Tensor:
    """One to four thick broken lines, as of a brush that was moved at random.

    Each has two to five segments, 0.1 to 0.4 of the shorter side long, any two of them meeting in a
    round joint, and is 0.08 to 0.2 of that side wide.

    Args:
        uniform: numbers in (0, 1) that decide everything, with shape (57,).
        height, width: size of the image.

    Returns:
        The pixels they cover, bool with shape (H, W).
    """
    draws = uniform.double()
    side = min(height, width)
    rows = torch.arange(height, dtype=torch.float64)[:, None] + 0.5
    columns = torch.arange(width, dtype=torch.float64) + 0.5
    covered = torch.zeros(height, width, dtype=torch.bool)
    lines = 1 + int(draws[0] * _LINES)
    for line in draws[1:].view(_LINES, 4 + 2 * _SEGMENTS)[:lines]:
        y, x = float(line[0]) * height, float(line[1]) * width
        segments = 2 + int(line[2] * (_SEGMENTS - 1))
        reach = (0.08 + 0.12 * float(line[3])) * side / 2
        for length, turn in line[4:].view(_SEGMENTS, 2)[:segments].tolist():
            length, turn = (0.1 + 0.3 * length) * side, 2 * math.pi * turn
            dy, dx = length * math.sin(turn), length * math.cos(turn)
            # Where on the segment the nearest point lies, 0 … 1; its ends are round this way.
            along = ((rows - y) * dy + (columns - x) * dx) / length**2
            along = along.clamp(0, 1)
            distance = (rows - y - along * dy).square() + (columns - x - along * dx).square()
            covered |= distance <= reach**2
            y, x = min(max(y + dy, 0.0), float(height)), min(max(x + dx, 0.0), float(width))
    return covered


def normalised(values: Tensor) -> Tensor:
    """Maps divided by the value below which 98 % of their mass lies, and cut at ±1 there.

    A few pixels would else outweigh a whole cell. As RCSB's code has it; its paper is silent.

    Args:
        values: with shape (B, 1, H, W).
    """
    ordered = values.abs().flatten(1).sort(dim=1).values
    mass = ordered.cumsum(dim=1)
    beyond = mass > _MASS * mass[:, -1:]
    first = beyond.to(torch.uint8).argmax(dim=1, keepdim=True)
    limit = ordered.gather(1, first)[:, :, None, None]
    return (values / torch.where(limit == 0, 1e-5, limit)).clamp(-1, 1)


def cell_sums(values: Tensor, cell: int) -> Tensor:
    """Sums over square cells, (B, 1, H, W) → (B, 1, H/cell, W/cell).

    Raises:
        MethodError: the cells do not fill the image.
    """
    height, width = values.shape[2:]
    if height % cell or width % cell:
        raise MethodError(f"cells of {cell} pixels do not fill an image of {height}x{width}")
    blocks = values.reshape(len(values), 1, height // cell, cell, width // cell, cell)
    return blocks.sum(dim=(3, 5))


def best_cells(values: Tensor, area: float, shape: tuple[int, int]) -> Tensor:
    """The cells of the largest values that cover a share of the image, at least one.

    Args:
        values: one per cell, with shape (B, 1, h, w); cells of zero (or less) are never chosen.
        area: share of the cells, in (0, 1]; ties go to the first.
        shape: height and width of the image, multiples of those of `values`.

    Returns:
        The pixels of these cells, bool with shape (B, 1, H, W).
    """
    flat = values.flatten(1)
    count = masks.area(area, *values.shape[2:])
    order = flat.argsort(dim=1, descending=True, stable=True)[:, :count]
    chosen = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, order, True) & (flat > 0)
    return _pixels(chosen.view_as(values), shape)


def released_cells(values: Tensor, area: float, shape: tuple[int, int]) -> Tensor:
    """RCSB's cells as its code chooses them: those above one of 200 quantiles.

    The lowest threshold whose cells stay within the area; but the area is measured against the
    square of the width, and everything is chosen where a single cell is already more than it.

    Args, result: as `best_cells`.
    """
    flat = values.flatten(1)
    total = values.shape[3] ** 2
    quantiles = torch.linspace(1, 0, _THRESHOLDS, dtype=values.dtype, device=values.device)
    thresholds = flat.quantile(quantiles, dim=1).T
    covered = (flat[:, None] >= thresholds[:, :, None]).sum(dim=2) / total
    first = (covered > area).to(torch.uint8).argmax(dim=1, keepdim=True)
    threshold = thresholds.gather(1, (first - 1) % _THRESHOLDS)
    few = ((flat > 0).sum(dim=1, keepdim=True) / total) <= area
    chosen = (flat > 0) & (few | (flat >= threshold))
    return _pixels(chosen.view_as(values), shape)


def _pixels(cells: Tensor, shape: tuple[int, int]) -> Tensor:
    """Cells as the pixels they cover: bool (B, 1, h, w) → (B, 1, H, W)."""
    rows, columns = (side // cell for side, cell in zip(shape, cells.shape[2:], strict=True))
    return cells.repeat_interleave(rows, dim=2).repeat_interleave(columns, dim=3)


class Region(Protocol):
    """Finds the pixels that may change, for the images of one batch."""

    def __call__(self, guidance: BoundGuidance, noise: Noise) -> Tensor:
        """Bool with shape (B, 1, H, W); no image's region depends on another's.

        Args:
            guidance: inputs, targets and classifier.
            noise: of these images; purpose "region".
        """
        ...


@dataclass(frozen=True)
class Cells:
    """The cells that say most about the source class, as RCSB finds its regions.

    Attributes:
        area: share of the image they cover, in (0, 1].
        cell: side of a cell, in pixels.
        attribution: of the source class.
    """

    area: float = 0.3
    cell: int = 4
    attribution: Attribution = integrated_gradients

    def __call__(self, guidance: BoundGuidance, noise: Noise) -> Tensor:
        return best_cells(self.values(guidance), self.area, _size(guidance))

    def values(self, guidance: BoundGuidance) -> Tensor:
        """How much each cell says, with shape (B, 1, H/cell, W/cell)."""
        found = self.attribution(guidance.x, _source(guidance), guidance.weights.classifier)
        return cell_sums(normalised(found.sum(dim=1, keepdim=True).abs()), self.cell)


@dataclass(frozen=True)
class ReleasedCells(Cells):
    """Cells as RCSB's code chooses them; see `released_cells`."""

    def __call__(self, guidance: BoundGuidance, noise: Noise) -> Tensor:
        return released_cells(self.values(guidance), self.area, _size(guidance))


@dataclass(frozen=True)
class FreeForm:
    """Brush strokes at random, keyed by image.

    Attributes:
        low, high: the share of the image they cover lies between, in [0, 1].
    """

    low: float
    high: float

    def __call__(self, guidance: BoundGuidance, noise: Noise) -> Tensor:
        height, width = _size(guidance)
        found: dict[int, Tensor] = {}
        for attempt in range(_ATTEMPTS):
            uniform = torch.special.ndtr(
                noise.draw("region", 0, attempt, shape=(STROKE_DRAWS,)).double().cpu()
            )
            for row in range(len(guidance.x)):
                if row not in found:
                    drawn = strokes(uniform[row], height, width)
                    if self.low <= float(drawn.double().mean()) <= self.high:
                        found[row] = drawn
            if len(found) == len(guidance.x):
                regions = torch.stack([found[row] for row in range(len(found))])
                return regions[:, None].to(guidance.x.device)
        raise MethodError(
            f"no free form of {self.low:.0%} to {self.high:.0%} in {_ATTEMPTS} attempts; "
            "ask for a wider range"
        )


def everything(guidance: BoundGuidance, noise: Noise) -> Tensor:
    """The whole image."""
    return torch.ones_like(guidance.x[:, :1], dtype=torch.bool)


def _size(guidance: BoundGuidance) -> tuple[int, int]:
    height, width = guidance.x.shape[2:]
    return height, width


def _source(guidance: BoundGuidance) -> Tensor:
    """The class an image is explained away from: the task's source, else what is predicted."""
    given = guidance.weights.source
    return guidance.weights.classifier.predict(guidance.x) if given is None else given
