"""The diffusion prior: one network evaluation turned into one step of the reverse process."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vcebench.methods.core.schedule import Schedule


@dataclass(frozen=True)
class Posterior:
    """p(z_{i-1} | z_i) as the prior sees it; every tensor has shape (B, C, H, W).

    Attributes:
        mean: posterior mean.
        variance: posterior variance.
        log_variance: its logarithm.
        x0: the clean image x̂0 estimated from z_i, clipped to [-1, 1].
    """

    mean: Tensor
    variance: Tensor
    log_variance: Tensor
    x0: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """mean + σ·noise."""
        return self.mean + self.sigma * noise

    @property
    def sigma(self) -> Tensor:
        """Standard deviation."""
        return torch.exp(0.5 * self.log_variance)


class Prior(nn.Module):
    """Noise-predicting network together with the schedule it is used on.

    The network is called with z of shape (B, C, H, W) and *original* timesteps of shape (B,), and
    returns the noise, (B, C, H, W), or noise and variance, (B, 2·C, H, W). The variance channels v
    in [-1, 1] interpolate, in log space, between the clipped posterior variance and β_i (Nichol &
    Dhariwal, 2021, Equation 15); without them the clipped posterior variance is used.

    Args:
        network: the noise predictor.
        schedule: the respaced chain the reverse process runs on.
    """

    def __init__(self, network: nn.Module, schedule: Schedule) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule

    def posterior(self, z: Tensor, i: int) -> Posterior:
        """Posterior at the noisy images z, at respaced index i (Ho et al., 2020, Equation 7).

        Args:
            z: noisy images, with shape (B, C, H, W).
            i: respaced index, 0 … N-1.
        """
        with torch.no_grad():
            t = torch.full((len(z),), int(self.schedule.timestep_map[i]), device=z.device)
            # Half-precision tiers run the network only; the arithmetic of a step stays float32.
            return self.from_output(z, i, self.network(z, t).float())

    def from_output(self, z: Tensor, i: int, output: Tensor, clip: bool = True) -> Posterior:
        """Posterior from a network output of shape (B, C or 2·C, H, W); see `posterior`."""
        schedule = self.schedule
        channels = z.shape[1]
        if output.shape[1] not in (channels, 2 * channels):
            raise ValueError(
                f"the prior returns {output.shape[1]} channels for images of {channels}; "
                f"expected {channels} (noise) or {2 * channels} (noise and variance)"
            )
        low = float(schedule.posterior_log_variance_clipped[i])
        high = math.log(schedule.betas[i])
        if output.shape[1] == channels:
            noise, log_variance = output, torch.full_like(z, low)
        else:
            noise, v = output.chunk(2, dim=1)
            fraction = (v + 1) / 2
            log_variance = fraction * high + (1 - fraction) * low
        bar = float(schedule.alphas_cumprod[i])
        x0 = (1.0 / bar) ** 0.5 * z - (1.0 / bar - 1.0) ** 0.5 * noise
        if clip:
            x0 = x0.clamp(-1, 1)
        mean = (
            float(schedule.posterior_mean_coef1[i]) * x0
            + float(schedule.posterior_mean_coef2[i]) * z
        )
        return Posterior(mean, torch.exp(log_variance), log_variance, x0)
