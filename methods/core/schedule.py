"""Noise schedule of a diffusion prior, respacing, and the coefficients of its posterior.

References: Denoising Diffusion Probabilistic Models (Ho et al., 2020), Equations 4, 6 and 7;
Denoising Diffusion Implicit Models (Song et al., 2021), Equation 12; Improved DDPM (Nichol &
Dhariwal, 2021), Section 3; linear schedule as in Diffusion Models Beat GANs on Image Synthesis
(Dhariwal & Nichol, 2021); scaled-linear schedule as released with High-Resolution Image Synthesis
with Latent Diffusion Models (Rombach et al., 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """Coefficients of a (respaced) chain; index 0 carries the least noise.

    Attributes:
        betas: noise variances β_i of the respaced chain, float64 with shape (N,).
        timestep_map: original timestep of each respaced index, int64 with shape (N,).
        base: noise variances of the full chain, float64 with shape (T,), if they are known.
        final: ᾱ of the clean end, where `ddim` leads from index 0.

    All other arrays follow from the first two and have shape (N,), float64.
    """

    betas: Floats
    timestep_map: npt.NDArray[np.int64]
    base: Floats | None = None
    final: float = 1.0
    alphas_cumprod: Floats = field(init=False)
    alphas_cumprod_prev: Floats = field(init=False)
    posterior_variance: Floats = field(init=False)
    posterior_log_variance_clipped: Floats = field(init=False)
    posterior_mean_coef1: Floats = field(init=False)
    posterior_mean_coef2: Floats = field(init=False)

    def __post_init__(self) -> None:
        alphas = 1.0 - self.betas
        bar = np.cumprod(alphas)
        prev = np.append(1.0, bar[:-1])
        variance = self.betas * (1.0 - prev) / (1.0 - bar)
        # The variance at index 0 is zero; its logarithm borrows the next value.
        clipped = np.log(np.append(variance[1:2], variance[1:]))
        for name, value in {
            "alphas_cumprod": bar,
            "alphas_cumprod_prev": prev,
            "posterior_variance": variance,
            "posterior_log_variance_clipped": clipped,
            "posterior_mean_coef1": self.betas * np.sqrt(prev) / (1.0 - bar),
            "posterior_mean_coef2": (1.0 - prev) * np.sqrt(alphas) / (1.0 - bar),
        }.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.betas)

    @classmethod
    def full(cls, betas: Floats) -> Schedule:
        """The chain of all steps a prior was trained on; betas with shape (T,)."""
        return cls(betas, np.arange(len(betas)), base=betas)

    def respaced(self, count: int) -> Schedule:
        """`count` steps of the full chain, both ends kept.

        β_i is 1 - ᾱ_i/ᾱ_(i-1), with ᾱ taken from the full chain at the kept timesteps.

        Raises:
            ValueError: the full chain is not known, or shorter.
        """
        return self._kept(respaced_indices(len(self._full()), count))

    def strided(self, count: int, offset: int) -> Schedule:
        """`count` steps of the full chain: timesteps i·⌊T/count⌋ + offset, i = 0 … count-1.

        Raises:
            ValueError: the full chain is not known, or has no such steps.
        """
        steps = len(self._full())
        stride = steps // count if 1 <= count <= steps else 0
        if not stride or (count - 1) * stride + offset >= steps:
            raise ValueError(
                f"a chain of {steps} steps has no {count} strided ones from {offset} on; use 1 … "
                f"{steps - offset} of them"
            )
        return self._kept([i * stride + offset for i in range(count)])

    def _full(self) -> Floats:
        if self.base is None:
            raise ValueError("the schedule does not know its full chain; make it with `base`")
        return self.base

    def _kept(self, timesteps: list[int]) -> Schedule:
        kept = np.array(timesteps, dtype=np.int64)
        bar = np.cumprod(1.0 - self._full())[kept]
        betas = 1.0 - bar / np.append(1.0, bar[:-1])
        return Schedule(betas, kept, self.base, self.final)

    def sqrt_alpha_bar(self, i: int) -> float:
        """√ᾱ_i, the factor of the clean image in the noised one."""
        return float(np.sqrt(self.alphas_cumprod[i]))

    def sigma_bar(self, i: int) -> float:
        """√(1-ᾱ_i), the standard deviation of the noise at index i."""
        return float(np.sqrt(1.0 - self.alphas_cumprod[i]))

    def q_sample(self, x: Tensor, i: int, noise: Tensor) -> Tensor:
        """The image noised to index i: √ᾱ_i·x + √(1-ᾱ_i)·noise (Ho et al., Equation 4).

        Args:
            x: clean images in [-1, 1], with shape (B, C, H, W).
            i: respaced index.
            noise: standard normal, with the shape of x.
        """
        return self.sqrt_alpha_bar(i) * x + self.sigma_bar(i) * noise

    def ddim(self, z: Tensor, noise: Tensor, i: int, to: int) -> Tensor:
        """z moved from one noise level to another, less or more noisy, without any new noise.

        √ᾱ_to·(z - √(1-ᾱ_i)·noise)/√ᾱ_i + √(1-ᾱ_to)·noise (Song et al., Equation 12, σ = 0).

        Args:
            z: noisy images at index i, with shape (B, C, H, W).
            noise: the noise seen in them, alike.
            i, to: respaced indices; -1 is the clean end, whose ᾱ is `final`.
        """
        here, there = (float(self.alphas_cumprod[k]) if k >= 0 else self.final for k in (i, to))
        x0 = (z - math.sqrt(1 - here) * noise) / math.sqrt(here)
        return math.sqrt(there) * x0 + math.sqrt(1 - there) * noise


def respaced_indices(steps: int, count: int) -> list[int]:
    """`count` timesteps evenly spread over 0 … steps-1, both ends kept.

    Positions are accumulated and rounded half to even, as the published samplers do.
    """
    if not 1 <= count <= steps:
        raise ValueError(f"cannot respace {steps} steps to {count}; use a count in 1 … {steps}")
    stride = 1.0 if count == 1 else (steps - 1) / (count - 1)
    position, indices = 0.0, []
    for _ in range(count):
        indices.append(round(position))
        position += stride
    return indices


def linear_schedule(steps: int = 500, respacing: int | None = 200) -> Schedule:
    """Linear schedule over `steps` original steps, respaced to `respacing` of them.

    β runs from 1e-4·(1000/T) to 0.02·(1000/T); for the respaced β see `Schedule.respaced`.

    Args:
        steps: T, length of the chain the prior was trained on.
        respacing: N, number of kept steps; None keeps all.
    """
    scale = 1000.0 / steps
    base = np.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=np.float64)
    return Schedule.full(base).respaced(respacing or steps)


def scaled_linear_schedule(
    start: float,
    end: float,
    steps: int,
    offset: int,
    product: Literal["float64", "float32"],
) -> Schedule:
    """Schedule of latent diffusion: √β is linear over 1,000 steps, of which some are kept.

    Its ᾱ are the float32 numbers that released programs keep: 1-ᾱ_0 differs by 3e-5 of itself from
    that of a float64 table. The clean end is the chain's first ᾱ and not 1.

    Args:
        start, end: β of the first and of the last step.
        steps: N, number of kept steps.
        offset: timestep of index 0; see `Schedule.strided`.
        product: type in which ᾱ is multiplied up, before it is kept as float32.
    """
    dtype = getattr(torch, product)
    betas = torch.linspace(start**0.5, end**0.5, 1000, dtype=dtype) ** 2
    bar = torch.cumprod(1 - betas, dim=0).float().double().numpy()
    base = 1.0 - bar / np.append(1.0, bar[:-1])
    return Schedule(base, np.arange(1000), base, float(bar[0])).strided(steps, offset)
