"""Adam as a pure function of an image's own gradients.

References: Adam: A Method for Stochastic Optimization (Kingma & Ba, ICLR 2015), Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Running moments of gradients; no image's depend on another's.

    Attributes:
        m, v: first and second moment, with shape (B, …).
        k: gradients seen, int64 with shape (B,).
        betas: decay of either moment.
        epsilon: added to the root of the second moment.
    """

    m: Tensor
    v: Tensor
    k: Tensor
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    @classmethod
    def zeros(cls, like: Tensor) -> Self:
        """Moments before the first gradient, for gradients like this tensor."""
        count = torch.zeros(len(like), dtype=torch.int64, device=like.device)
        return cls(torch.zeros_like(like), torch.zeros_like(like), count)

    def updated(self, gradient: Tensor, active: Tensor | None = None) -> Moments:
        """The moments after one more gradient.

        Args:
            gradient: with shape (B, …).
            active: images that have one, bool with shape (B,); the others keep their moments.
        """
        first, second = self.betas
        m = first * self.m + (1 - first) * gradient
        v = second * self.v + (1 - second) * gradient.square()
        if active is None:
            return Moments(m, v, self.k + 1, self.betas, self.epsilon)
        told = rows(active, gradient)
        return Moments(
            torch.where(told, m, self.m),
            torch.where(told, v, self.v),
            self.k + active,
            self.betas,
            self.epsilon,
        )

    def direction(self) -> Tensor:
        """m̂/(√v̂ + ε) with both moments corrected for their start at zero; k must be positive."""
        # In float32, 1 - 0.999 has an error of 6e-5 of itself.
        first, second = ((1 - beta ** self.k.double()).to(self.m.dtype) for beta in self.betas)
        m = self.m / rows(first, self.m)
        v = self.v / rows(second, self.v)
        return m / (v.sqrt() + self.epsilon)


def rows(values: Tensor, like: Tensor) -> Tensor:
    """Values (B,) with the shape (B, 1, …) that multiplies `like`."""
    return values.view(-1, *[1] * (like.ndim - 1))
