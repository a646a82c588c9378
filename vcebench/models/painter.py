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
    """Codes are means of features over regions; each decides how its own places look, no others.

    The layout, that is the map alone, becomes features of every place: from a sixteenth of the size
    in blocks that double it, with norms that the map modulates. A code then modulates how the
    features of its region's places become colours, each place for itself. So a code cannot show
    outside of its region; codes that pass through convolutions, as in other such generators, do.

    Args:
        regions: names of the regions by number.
        code: length c of a region's code.
        features: channels of the encoder's two finer and last layers.
        widths: channels of the layout's blocks, coarse to fine.
        look: channels of the layers that make colours of features.
    """

    def __init__(
        self,
        regions: tuple[str, ...],
        code: int = 32,
        features: tuple[int, int, int] = (32, 48, 32),
        widths: tuple[int, ...] = (64, 64, 48, 48, 32),
        look: tuple[int, ...] = (48, 48, 48),
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
        self.levels = len(widths) - 1
        layout = len(regions) + 2
        self.start = nn.Conv2d(layout, widths[0], 1)
        self.blocks = nn.ModuleList(
            _Laid(before, width, layout) for before, width in pairwise((widths[0], *widths))
        )
        self.look = nn.ModuleList(
            _Looking(before, width, code) for before, width in pairwise((widths[-1], *look))
        )
        self.out = nn.Conv2d(look[-1], 3, 1)

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
        h = self._layout(planes)
        for layer in self.look:
            h = layer(h, planes, z)
        picture: Tensor = self.out(h)
        return picture.float().tanh()

    def _layout(self, planes: Tensor) -> Tensor:
        """Features of every place, (B, w, H, W), of the map and where in the picture it is."""
        count, _, height, width = planes.shape
        rows = torch.linspace(-1, 1, height, device=planes.device).expand(count, 1, width, height)
        columns = torch.linspace(-1, 1, width, device=planes.device).expand(count, 1, height, width)
        maps = [torch.cat([planes, rows.mT, columns], dim=1)]
        for _ in range(self.levels):
            maps.append(F.avg_pool2d(maps[-1], 2))
        h: Tensor = self.start(maps[-1])
        for level, (block, where) in enumerate(zip(self.blocks, reversed(maps), strict=True)):
            h = block(F.interpolate(h, scale_factor=2) if level else h, where)
        return h

    def _planes(self, segments: Tensor, like: Tensor) -> Tensor:
        """1 where a region is: (B, R, H, W)."""
        numbers = torch.arange(len(self.regions), device=segments.device)
        planes: Tensor = segments[:, None] == numbers[:, None, None]
        return planes.to(like.dtype)


class _Laid(nn.Module):
    """A residual block whose norms the layout modulates."""

    def __init__(self, channels: int, width: int, layout: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.scales = nn.ModuleList(nn.Conv2d(layout, 2 * c, 1) for c in (channels, width))
        same = channels == width
        self.skip = nn.Identity() if same else nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        h = self.first(F.silu(_modulated(x, self.scales[0](where))))
        h = self.second(F.silu(_modulated(h, self.scales[1](where))))
        out: Tensor = self.skip(x) + h
        return out


class _Looking(nn.Module):
    """A layer of every place for itself, scaled and shifted by the code of its region."""

    def __init__(self, channels: int, width: int, code: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, width, 1)
        self.scales = nn.Linear(code, 2 * width)

    def forward(self, x: Tensor, planes: Tensor, z: Tensor) -> Tensor:
        placed = torch.einsum("brhw,brc->bchw", planes, self.scales(z).to(planes.dtype))
        return F.silu(_modulated(self.mix(x), placed))


def _modulated(x: Tensor, scales: Tensor) -> Tensor:
    """Norm over the channels of a place, which takes nothing from one place to another."""
    gamma, beta = scales.chunk(2, dim=1)
    placed = F.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1)
    return placed * (1 + gamma) + beta
