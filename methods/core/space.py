"""Spaces that walks go through: pixels themselves, or what networks make of them and back.

Pictures have shape (B, C, H, W), in [-1, 1].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.methods.core.noise import Noise


@runtime_checkable
class Autoencoder(Protocol):
    """Pictures to codes and back: vectors (B, c), or latents (B, c, h, w) that have a place."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the codes, in one shape; -inf where a code has no spread."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of codes."""
        ...


@runtime_checkable
class SemanticAutoencoder(Protocol):
    """Pictures to codes, one for each region of a map, and back; the map is kept.

    Maps are uint8 with shape (B, H, W): the region of every pixel, 0 … R-1.
    """

    @property
    def regions(self) -> Sequence[str]:
        """Names of the R regions, in the order of their numbers."""
        ...

    def encode(self, x: Tensor, segments: Tensor) -> Tensor:
        """Codes with shape (B, R, c); zeros for regions that are not in the map."""
        ...

    def decode(self, segments: Tensor, z: Tensor) -> Tensor:
        """Pictures of maps and codes (B, R, c)."""
        ...


class Space(ABC):
    """Where a prior's noisy things live."""

    @abstractmethod
    def encode(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Where pictures are in this space, (B, c, h, w).

        Args:
            x: pictures.
            noise: draws from an encoder's posterior, once an image; without, its mean is taken.
        """

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Pictures of points of this space, with the graph back to them; they are not clamped."""

    @abstractmethod
    def shrink(self, mask: Tensor, like: Tensor) -> Tensor:
        """A mask of pictures, (B, 1, H, W), at the size of a point of this space."""

    @abstractmethod
    def enlarge(self, mask: Tensor, like: Tensor) -> Tensor:
        """A mask of this space, (B, 1, h, w), at the size of a picture."""


class Pixels(Space):
    """Pictures as they are."""

    def encode(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        return x

    def decode(self, z: Tensor) -> Tensor:
        return z

    def shrink(self, mask: Tensor, like: Tensor) -> Tensor:
        return mask

    def enlarge(self, mask: Tensor, like: Tensor) -> Tensor:
        return mask


@dataclass(frozen=True, eq=False)
class Latents(Space):
    """Latents of an autoencoder, times c (Rombach et al., CVPR 2022, Section 3.1 and Appendix G).

    Attributes:
        autoencoder: of pictures and latents (B, c, h, w).
        scaling: c, which brings latents to about unit deviation.
    """

    autoencoder: Autoencoder
    scaling: float

    def encode(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        with torch.no_grad():
            mean, log_variance = self.autoencoder.encode(x)
        if noise is not None:
            drawn = noise.draw("encode", 0, shape=tuple(mean.shape[1:]))
            mean = mean + torch.exp(0.5 * log_variance) * drawn
        return self.scaling * mean

    def decode(self, z: Tensor) -> Tensor:
        return self.autoencoder.decode(z / self.scaling)

    def shrink(self, mask: Tensor, like: Tensor) -> Tensor:
        return _resized(mask, like)

    def enlarge(self, mask: Tensor, like: Tensor) -> Tensor:
        return _resized(mask, like)


def _resized(mask: Tensor, like: Tensor) -> Tensor:
    """A boolean mask at another size; each pixel is the one nearest to its centre."""
    return F.interpolate(mask.float(), like.shape[2:], mode="nearest-exact").bool()
