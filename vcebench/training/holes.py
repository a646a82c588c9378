"""The random regions that a bridge learns to fill: half brush strokes, half cells."""

from __future__ import annotations

import torch
from torch import Tensor

from vcebench.methods.core.regions import STROKE_DRAWS, best_cells, strokes

LEAST, MOST = 0.05, 0.35
"""Share of an image that a region covers."""
_CELLS = (2, 4, 8)


def library(height: int, width: int, count: int, seed: int) -> Tensor:
    """A fixed set of regions, bool with shape (count, 1, H, W): strokes and cells in turn."""
    generator = torch.Generator().manual_seed(seed)
    draw = (free_form, cell_region)
    return torch.stack([draw[k % 2](height, width, generator) for k in range(count)])


def cell_library(height: int, width: int, count: int, seed: int, area: float | None) -> Tensor:
    """Cells only, alike; of one area (a share of the image) unless it is None."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([cell_region(height, width, generator, area) for _ in range(count)])


def free_form(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Strokes that cover between 5 and 35 % of an image, bool with shape (1, H, W)."""
    while True:
        drawn = strokes(torch.rand(STROKE_DRAWS, generator=generator), height, width)
        if LEAST <= float(drawn.float().mean()) <= MOST:
            return drawn[None]


def cell_region(
    height: int, width: int, generator: torch.Generator, area: float | None = None
) -> Tensor:
    """The best cells of a made-up attribution: one blurred spot in noise, bool (1, H, W).

    Regions of counterfactuals look like this: cells about a thing, and some strays. Cells are 2, 4
    or 8 pixels wide; the area is drawn between 5 and 35 % where none is given.
    """
    size = _CELLS[int(torch.randint(len(_CELLS), (1,), generator=generator))]
    share, y, x, spread = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    rows = (torch.arange(height // size) + 0.5) * size / height - y
    columns = (torch.arange(width // size) + 0.5) * size / width - x
    deviation = 0.1 + 0.25 * spread
    spot = torch.exp(-(rows[:, None].square() + columns.square()) / (2 * deviation**2))
    values = spot + 0.3 * torch.rand(spot.shape, generator=generator)
    wanted = LEAST + (MOST - LEAST) * share if area is None else area
    return best_cells(values[None, None], wanted, (height, width))[0]
