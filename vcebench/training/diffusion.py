"""The loss that trains a prior: noise prediction plus a bound for the learned variance.

References: Improved Denoising Diffusion Probabilistic Models (Nichol & Dhariwal, 2021), Equations
15 and 16 and Section 3.1; Denoising Diffusion Probabilistic Models (Ho et al., 2020), Equation 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from vcebench.methods.core.schedule import Schedule, linear_schedule
from vcebench.training.half import half


@dataclass(frozen=True, eq=False)
class _Tables:
    """Schedule coefficients by timestep; every tensor has shape (T, 1, 1, 1), float32."""

    bar: Tensor
    mean_x0: Tensor
    mean_z: Tensor
    low: Tensor
    high: Tensor

    def on(self, device: torch.device) -> _Tables:
        """The same on a device."""
        return _Tables(*(getattr(self, one.name).to(device) for one in fields(self)))


class DiffusionLoss:
    """Hybrid loss L_simple + 0.001·T·L_vlb on the full chain of T steps.

    The bound trains the variance alone: it sees the predicted mean without gradient.

    Args:
        steps: T.
        focus: timesteps below it get `share` of the draws; editing starts at τ, so a prior spends
            most of its training there. The rest is uniform over all T.
        share: part of the draws that is taken below `focus`.
        bf16: run the network under bfloat16 autocast; the loss itself is float32.
    """

    def __init__(
        self, steps: int = 500, focus: int = 160, share: float = 0.8, bf16: bool = False
    ) -> None:
        self.steps, self.focus, self.share, self.bf16 = steps, focus, share, bf16
        self._tables = _tables(linear_schedule(steps, None))

    def timesteps(self, count: int, generator: torch.Generator) -> Tensor:
        """Random timesteps with shape (count,)."""
        low = torch.randint(min(self.focus, self.steps), (count,), generator=generator)
        uniform = torch.randint(self.steps, (count,), generator=generator)
        return torch.where(torch.rand(count, generator=generator) < self.share, low, uniform)

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of a batch.

        Args:
            network: (z, t) → noise and variance, (B, 2·C, H, W), or noise alone, (B, C, H, W).
            x: clean images in [-1, 1], with shape (B, C, H, W), where the network is.
            generator: source of timesteps and noise, on the CPU.
        """
        tables = self._tables.on(x.device)
        t = self.timesteps(len(x), generator).to(x.device)
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        bar = tables.bar[t]
        z = bar.sqrt() * x + (1 - bar).sqrt() * noise
        z = z.contiguous(memory_format=torch.channels_last)
        with half(self.bf16):
            output = network(z, t)
        output = output.float()
        if output.shape[1] == x.shape[1]:
            only: Tensor = (output - noise).square().mean()
            return only
        predicted, v = output.chunk(2, dim=1)
        simple = (predicted - noise).square().mean()
        bound = _bound(tables, x, z, t, predicted.detach(), v).mean()
        total: Tensor = simple + 1e-3 * self.steps * bound
        return total


def _bound(tables: _Tables, x: Tensor, z: Tensor, t: Tensor, noise: Tensor, v: Tensor) -> Tensor:
    """L_t in bits per dimension, with shape (B,)."""
    bar, low, high = tables.bar[t], tables.low[t], tables.high[t]
    x0 = (z - (1 - bar).sqrt() * noise) / bar.sqrt()
    true_mean = tables.mean_x0[t] * x + tables.mean_z[t] * z
    mean = tables.mean_x0[t] * x0 + tables.mean_z[t] * z
    fraction = (v + 1) / 2
    log_variance = fraction * high + (1 - fraction) * low
    divergence = gaussian_kl(true_mean, low, mean, log_variance)
    likelihood = -discretised_log_likelihood(x, mean, 0.5 * log_variance)
    terms = torch.where((t == 0)[:, None, None, None], likelihood, divergence)
    return terms.mean(dim=(1, 2, 3)) / math.log(2.0)


def gaussian_kl(mean1: Tensor, log_var1: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """KL(N(mean1, exp log_var1) ‖ N(mean2, exp log_var2)) in nats, element by element."""
    ratio = (log_var1 - log_var2).exp() + (mean1 - mean2).square() * (-log_var2).exp()
    return 0.5 * (ratio - 1 - log_var1 + log_var2)


def discretised_log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log-probability, in nats, of the 8-bit value x ∈ [-1, 1] under a Gaussian.

    The outermost values take the tails (Ho et al., 2020, Equation 13).
    """
    inverse = (-log_scale).exp()
    upper = torch.special.ndtr((x - mean + 1 / 255) * inverse)
    lower = torch.special.ndtr((x - mean - 1 / 255) * inverse)
    upper = torch.where(x > 0.999, torch.ones_like(upper), upper)
    lower = torch.where(x < -0.999, torch.zeros_like(lower), lower)
    return (upper - lower).clamp_min(1e-12).log()


def _tables(schedule: Schedule) -> _Tables:
    def column(values: object) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32)[:, None, None, None]

    return _Tables(
        bar=column(schedule.alphas_cumprod),
        mean_x0=column(schedule.posterior_mean_coef1),
        mean_z=column(schedule.posterior_mean_coef2),
        low=column(schedule.posterior_log_variance_clipped),
        high=torch.log(column(schedule.betas)),
    )
