"""Small autoencoders: a picture from one code, and a picture from a map and a code per region.

Both take and give float32 images in [-1, 1] with shape (B, 3, H, W).

References: Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations (Rodríguez
et al., ICCV 2021), whose decoder is modulated by its code alike.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualAutoencoder(nn.Module):
    """Variational autoencoder: residual blocks, a code of one vector, a decoder modulated by it.

    The encoder takes two by two pixels as one, then each of its levels is a residual block and an
    average pooling by two; each level of the decoder is a nearest doubling and a residual block
    whose instance norms are scaled and shifted by the code.

    Args:
        code: dimension c of the code.
        widths: channels of each level, from the picture down.
        hidden: width of the layer between the smallest map and the code.
        size: (H, W) of the pictures, multiples of 2 to the number of levels.
        questions: tasks whose Fisher matrices it keeps, in `fisher` (Q, c, c).
    """

    fisher: Tensor

    def __init__(
        self,
        code: int,
        widths: tuple[int, ...],
        hidden: int = 256,
        size: tuple[int, int] = (64, 64),
        questions: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.questions = questions
        self.register_buffer("fisher", torch.zeros(len(questions), code, code))
        levels = len(widths)
        self.grid = (size[0] >> levels, size[1] >> levels)
        flat = widths[-1] * self.grid[0] * self.grid[1]
        # Nobody differentiates by the picture here, so that merging pixels is no harm.
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, widths[0], 3, padding=1)]
        for before, width in pairwise(widths):
            layers += [_Down(before, width), nn.AvgPool2d(2)]
        self.down = nn.Sequential(*layers)
        self.to_code = nn.Sequential(
            nn.Linear(flat, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, 2 * code)
        )
        self.from_code = nn.Sequential(
            nn.Linear(code, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, flat)
        )
        narrowing = (*reversed(widths), widths[0])
        self.up = nn.ModuleList(_Up(before, width, code) for before, width in pairwise(narrowing))
        self.out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the code, each with shape (B, c)."""
        found: Tensor = self.to_code(self.down(x).flatten(1))
        mean, log_variance = found.float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of codes (B, c)."""
        h: Tensor = self.from_code(z).unflatten(1, (-1, *self.grid))
        h = h.contiguous(memory_format=torch.channels_last)
        for block in self.up:
            h = block(h, z)
        picture: Tensor = self.out(F.silu(h))
        return picture.float().tanh()

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, from the mean of the code."""
        return self.decode(self.encode(x)[0])


class _Down(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *[nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, width, 3, padding=1)],
            *[nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)],
        )
        same = channels == width
        self.skip = nn.Identity() if same else nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.skip(x) + self.layers(x)
        return out


class _Up(nn.Module):
    """A nearest doubling, then a residual block modulated by the code."""

    def __init__(self, channels: int, width: int, code: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.scales = nn.ModuleList(nn.Linear(code, 2 * c) for c in (channels, width))
        same = channels == width
        self.skip = nn.Identity() if same else nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        # What is the same at all four of a doubled pixel's places is computed once.
        h = F.interpolate(F.silu(_modulated(x, self.scales[0](z))), scale_factor=2)
        h = self.first(h)
        h = self.second(F.silu(_modulated(h, self.scales[1](z))))
        out: Tensor = h + F.interpolate(self.skip(x), scale_factor=2)
        return out


def _modulated(x: Tensor, scales: Tensor) -> Tensor:
    """Instance norm, times 1 + γ, plus β; scales are γ and β, (B, 2·C)."""
    gamma, beta = scales[:, :, None, None].chunk(2, dim=1)
    return F.instance_norm(x) * (1 + gamma) + beta
