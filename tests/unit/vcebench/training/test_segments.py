"""What a region looks like must not show elsewhere, and what is counted when it does."""

from __future__ import annotations

import torch
from torch import Tensor

from vcebench.training.segments import leak


class Painter:
    """Paints every place with the first number of its region's code, and all with a share of it."""

    def __init__(self, spill: float) -> None:
        self.spill = spill

    def decode(self, segments: Tensor, z: Tensor) -> Tensor:
        own = z[..., 0].gather(1, segments.flatten(1).long()).view(segments.shape)
        everywhere = z[..., 0].sum(dim=1)[:, None, None]
        return (own + self.spill * everywhere)[:, None].expand(-1, 3, -1, -1)


def _leak(spill: float) -> float:
    maps = torch.zeros(4, 8, 8, dtype=torch.uint8)
    maps[:, 2:4, 2:6] = 1
    codes = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    painter = Painter(spill)
    made = painter.decode(maps, codes)
    return float(leak(painter, maps, codes, made, torch.Generator().manual_seed(1)))


def test_a_painter_that_keeps_to_its_regions_leaks_nothing():
    assert _leak(0.0) == 0.0


def test_what_shows_elsewhere_counts_and_nothing_else():
    # Whatever changes inside has no part in it, so that the leak is proportional to the spill.
    assert _leak(0.1) > 0
    torch.testing.assert_close(_leak(0.2), 2 * _leak(0.1), rtol=1e-5, atol=0)
