"""A small semantic autoencoder: a picture from a map of regions and one code for each of them.

References: STEEX: Steering Counterfactual Explanations with Semantics (Jacob et al., ECCV 2022),
for what it has to do; Semantic Image Synthesis with Spatially-Adaptive Normalization (Park et al.,
CVPR 2019), Equation 1, for norms that are modulated place by place.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SemanticAutoencoder(nn.Module):
    """Codes are means of features over regions; a generator is modulated by them where they belong.

    The generator begins at a sixteenth of the size with the map alone and doubles four times; the
    norms of every block are scaled and shifted by the code and the region of each place. Where a
    place of a coarse map holds several regions, their codes are averaged by area. Norms are over
    the channels of a place: those over a picture would carry a region's look into all others.

    Args:
        regions: names of the regions by number.
        code: length c of a region's code.
        features: channels of the encoder's two finer and last layers.
        widths: channels of the generator's blocks, coarse to fine.
    """

    def __init__(
        self,
        regions: tuple[str, ...],
        code: int = 32,
        features: tuple[int, int, int] = (32, 48, 32),
        widths: tuple[int, ...] = (96, 64, 48, 32, 24),
    ) -> None:
        super().__init__()
        self.regions = regions
        first, second, last = features
        self.encoder = nn.Sequential(
            *[nn.Conv2d(3, first, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2)],
            *[nn.Conv2d(first, second, 3, padding=1), nn.SiLU()],
            *[nn.Conv2d(second, last, 3, padding=1), nn.SiLU()],
        )
        self.to_code = nn.Linear(last, code)
        conditions = len(regions) + code
        self.levels = len(widths) - 1
        self.start = nn.Conv2d(len(regions), widths[0], 1)
        self.blocks = nn.ModuleList(
            _Painted(before, width, conditions) for before, width in pairwise((widths[0], *widths))
        )
        self.out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def encode(self, x: Tensor, segments: Tensor) -> Tensor:
        """Codes (B, R, c) of pictures (B, 3, H, W); zeros for regions that are not in the map."""
        features = self.encoder(x).float()
        share = F.avg_pool2d(self._planes(segments, x), 2).flatten(2)  # (B, R, h·w)
        area = share.sum(dim=2, keepdim=True)
        mean = share @ features.flatten(2).transpose(1, 2) / area.clamp_min(1e-6)
        codes: Tensor = self.to_code(mean).float() * (area > 0)
        return codes

    def decode(self, segments: Tensor, z: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) of maps (B, H, W) and codes (B, R, c)."""
        planes = self._planes(segments, z)
        placed = torch.einsum("brhw,brc->bchw", planes, z)
        conditions = torch.cat([planes, placed], dim=1)
        maps = [conditions]
        for _ in range(self.levels):
            maps.append(F.avg_pool2d(maps[-1], 2))
        h = self.start(maps[-1][:, : len(self.regions)])
        for level, (block, where) in enumerate(zip(self.blocks, reversed(maps), strict=True)):
            h = block(F.interpolate(h, scale_factor=2) if level else h, where)
        picture: Tensor = self.out(F.silu(h))
        return picture.float().tanh()

    def _planes(self, segments: Tensor, like: Tensor) -> Tensor:
        """1 where a region is: (B, R, H, W)."""
        numbers = torch.arange(len(self.regions), device=segments.device)
        planes: Tensor = segments[:, None] == numbers[:, None, None]
        return planes.to(like.dtype)


class _Painted(nn.Module):
    """A residual block whose norms are modulated place by place."""

    def __init__(self, channels: int, width: int, conditions: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.scales = nn.ModuleList(nn.Conv2d(conditions, 2 * c, 1) for c in (channels, width))
        same = channels == width
        self.skip = nn.Identity() if same else nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        h = self.first(F.silu(_modulated(x, self.scales[0](where))))
        h = self.second(F.silu(_modulated(h, self.scales[1](where))))
        out: Tensor = self.skip(x) + h
        return out


def _modulated(x: Tensor, scales: Tensor) -> Tensor:
    gamma, beta = scales.chunk(2, dim=1)
    placed = F.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1)
    return placed * (1 + gamma) + beta
