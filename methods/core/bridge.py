"""The bridge from an image to noise inside a region, and the prior that walks back on it.

References: I²SB: Image-to-Image Schrödinger Bridge (Liu et al., ICML 2023), Section 3 and
Proposition 3.3, in its optimal-transport limit without noise on the way (Section 3.3).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.prior import Posterior, Prior
from vcebench.methods.core.schedule import Floats, respaced_indices

_LEAST = 1e-4
"""Variance and time of the chain's first index: the bridge ends a little before the image."""


@dataclass(frozen=True, eq=False)
class Bridge:
    """Coefficients of a bridge; index 0 is the image, the last one (almost) the corruption.

    Attributes:
        steps: T, length of the chain the network was trained on, even.
        beta_max: largest variance of a step, times T.
        kept: indices of that chain a walk visits, ascending; all of them without.

    Arrays of the full chain follow from these, float64 with shape (T,): with F_n the variance
    gathered from the image to n and G_n the one from n to the corruption,

        std = √F,  image = G/(F+G),  corruption = F/(F+G),

    and `levels`, float32, what the network is told.
    """

    steps: int = 1000
    beta_max: float = 1.0
    kept: tuple[int, ...] = ()
    std: Floats = field(init=False, repr=False)
    image: Floats = field(init=False, repr=False)
    corruption: Floats = field(init=False, repr=False)
    levels: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.steps < 4 or self.steps % 2:
            raise MethodError(f"a bridge has an even number of steps from 4 on, not {self.steps}")
        rates = np.linspace(_LEAST**0.5, (self.beta_max / self.steps) ** 0.5, self.steps) ** 2
        half = rates[: self.steps // 2]
        betas = np.concatenate([half, half[::-1]])
        since, until = np.cumsum(betas), np.cumsum(betas[::-1])[::-1]
        for name, value in {
            "kept": self.kept or tuple(range(self.steps)),
            "std": np.sqrt(since),
            "image": until / (since + until),
            "corruption": since / (since + until),
            "levels": torch.linspace(_LEAST, 1.0, self.steps) * self.steps,
        }.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Number of kept indices: one more than the moves of a walk."""
        return len(self.kept)

    def respaced(self, moves: int, truncation: float = 1.0) -> Bridge:
        """The walk of `moves` moves that begins at this share of the chain.

        A walk does not become shorter by beginning later: its moves do.

        Args:
            moves: number of evaluations of the network.
            truncation: share of the chain, in (0, 1]; 1 begins at the corruption.

        Raises:
            MethodError: there are fewer indices than moves.
        """
        start = round(truncation * self.steps)
        if not 1 <= moves < start:
            raise MethodError(
                f"moves is {moves}; truncation {truncation:g} of a bridge of {self.steps} steps "
                f"leaves room for 1 … {start - 1}"
            )
        return dataclasses.replace(self, kept=tuple(respaced_indices(start, moves + 1)))

    def q_sample(self, x: Tensor, i: int, noise: Tensor) -> Tensor:
        """Between an image and its corruption: image_i·x + corruption_i·noise.

        Args:
            x: clean images in [-1, 1], with shape (B, C, H, W).
            i: kept index.
            noise: the corruption, with the shape of x: noise inside a region, x outside.
        """
        n = self.kept[i]
        return float(self.image[n]) * x + float(self.corruption[n]) * noise


class BridgePrior(Prior):
    """A network that finds the direction (z - x)/√F from the image, and the bridge it walks on.

    The network is called with z of shape (B, C, H, W) and levels of shape (B,), float32. Index i is
    the move into kept index i: 0 … moves-1, the last one first. No move has any noise.

    Args:
        network: the direction finder, with as many output channels as z has.
        bridge: the full chain, or a walk on it.
    """

    def __init__(self, network: nn.Module, bridge: Bridge) -> None:
        nn.Module.__init__(self)
        self.network = network
        self.bridge = bridge
        self.observer = None

    def time(self, i: int) -> float:
        """The level at the beginning of move i."""
        return float(self.bridge.levels[self.bridge.kept[i + 1]])

    def respaced(self, count: int, truncation: float = 1.0) -> Self:
        """This bridge with the walk of `count` moves that `Bridge.respaced` describes."""
        twin = self._copy()
        twin.bridge = self.bridge.respaced(count, truncation)
        return twin

    def from_output(self, z: Tensor, i: int, output: Tensor, clip: bool = True) -> Posterior:
        """Where move i leads: (1 - F_m/F_n)·x̂0 + F_m/F_n·z, from n to m = kept index i."""
        if output.shape[1] != z.shape[1]:
            raise ValueError(
                f"the bridge returns {output.shape[1]} channels for images of {z.shape[1]}; "
                "this is no bridge"
            )
        to, at = (float(self.bridge.std[n]) for n in self.bridge.kept[i : i + 2])
        x0 = z - at * output
        if clip:
            x0 = x0.clamp(-1, 1)
        carry = to**2 / at**2
        still = torch.zeros_like(z)
        return Posterior(
            (1 - carry) * x0 + carry * z, still, torch.full_like(z, -torch.inf), x0, output, carry
        )
