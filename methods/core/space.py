"""Spaces that are not pixels: what methods ask of the networks that lead there and back.

Pictures have shape (B, C, H, W), in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Autoencoder(Protocol):
    """Pictures to codes, one vector each, and back."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the codes, each with shape (B, c)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of codes (B, c)."""
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
