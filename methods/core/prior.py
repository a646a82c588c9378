"""The diffusion prior: one network evaluation turned into one step of the reverse process."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vcebench.methods.core.schedule import Schedule


@dataclass(frozen=True)
class Posterior:
    """p(z_{i-1} | z_i) as the prior sees it; every tensor has shape (B, C, H, W).

    Attributes:
        mean: posterior mean.
        variance: posterior variance.
        log_variance: its logarithm.
        x0: the clean image x̂0 estimated from z_i, clipped to [-1, 1] unless told otherwise.
        noise: the noise ε̂ that the network sees in z_i.
        carry: coefficient of z_i in the mean.
    """

    mean: Tensor
    variance: Tensor
    log_variance: Tensor
    x0: Tensor
    noise: Tensor
    carry: float

    def detached(self) -> Posterior:
        """The same numbers without their graph."""
        return Posterior(
            self.mean.detach(),
            self.variance.detach(),
            self.log_variance.detach(),
            self.x0.detach(),
            self.noise.detach(),
            self.carry,
        )

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
        self.observer: Callable[[int], None] | None = None

    def evaluate(self, z: Tensor, i: int, *, recompute: bool = False) -> Tensor:
        """The network's output at z, float32: the one place where it is called.

        Args:
            z: noisy images, with shape (B, C, H, W).
            i: respaced index, 0 … N-1.
            recompute: keep nothing but z for a backward pass, which evaluates again then. Gradients
                are the same bits as without.
        """
        if self.observer is not None:
            self.observer(len(z))
        t = torch.full((len(z),), self.time(i), device=z.device)
        output: Tensor
        if recompute:
            output = checkpoint(self.network, z, t, use_reentrant=False, preserve_rng_state=False)
        else:
            output = self.network(z, t)
        # Half-precision tiers run the network only; the arithmetic of a step stays float32.
        return output.float()

    def time(self, i: int) -> int | float:
        """What the network is told of index i: its original timestep."""
        return int(self.schedule.timestep_map[i])

    def posterior(
        self, z: Tensor, i: int, *, clip: bool = True, differentiable: bool = False
    ) -> Posterior:
        """Posterior at the noisy images z, at respaced index i (Ho et al., 2020, Equation 7).

        Args:
            z: noisy images, with shape (B, C, H, W).
            i: respaced index, 0 … N-1.
            clip: clip x̂0 to [-1, 1].
            differentiable: keep the graph back to z, which holds no more than images: what the
                network needs is computed again in the backward pass.
        """
        if differentiable:
            return self.from_output(z, i, self.evaluate(z, i, recompute=True), clip)
        with torch.no_grad():
            return self.from_output(z, i, self.evaluate(z, i), clip)

    def over(self, network: nn.Module) -> Self:
        """This prior over another network; the given one stays as it is."""
        twin = self._copy()
        twin.network = network
        return twin

    def respaced(self, count: int) -> Self:
        """This prior with `count` steps kept of its full chain; the given one stays as it is.

        Raises ValueError; see `Schedule.respaced`.
        """
        twin = self._copy()
        twin.schedule = self.schedule.respaced(count)
        return twin

    def observed(self, observer: Callable[[int], None]) -> Self:
        """This prior, telling of every evaluation how many images were given to the network.

        What a backward pass computes again is no evaluation.
        """
        twin = self._copy()
        twin.observer = observer
        return twin

    def _copy(self) -> Self:
        twin = copy.copy(self)
        twin._modules = dict(self._modules)  # copy.copy shares the table of submodules
        return twin

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
        carry = float(schedule.posterior_mean_coef2[i])
        mean = float(schedule.posterior_mean_coef1[i]) * x0 + carry * z
        return Posterior(mean, torch.exp(log_variance), log_variance, x0, noise, carry)
