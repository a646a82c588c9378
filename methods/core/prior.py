"""The diffusion prior: one network evaluation turned into one step of the reverse process."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.schedule import Schedule
from vcebench.methods.core.space import Pixels, Space


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
        conditioned: the noise that a conditional network sees if it is told of the target.
    """

    mean: Tensor
    variance: Tensor
    log_variance: Tensor
    x0: Tensor
    noise: Tensor
    carry: float
    conditioned: Tensor | None = None

    def detached(self) -> Posterior:
        """The same numbers without their graph."""
        return Posterior(
            self.mean.detach(),
            self.variance.detach(),
            self.log_variance.detach(),
            self.x0.detach(),
            self.noise.detach(),
            self.carry,
            None if self.conditioned is None else self.conditioned.detach(),
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

    Attributes:
        space: where z lives; C, H and W are those of its points.
        asks: how often `evaluate` gives every image to the network.
    """

    space: Space = Pixels()
    asks: ClassVar[int] = 1

    def __init__(self, network: nn.Module, schedule: Schedule) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.observer: Callable[[int], None] | None = None

    def evaluate(self, z: Tensor, i: int, *, recompute: bool = False) -> Tensor:
        """The network's output at z, float32.

        Args:
            z: noisy images, with shape (B, C, H, W).
            i: respaced index, 0 … N-1.
            recompute: keep nothing but z for a backward pass, which evaluates again then. Gradients
                are the same bits as without.
        """
        return self._answer(z, i, recompute)

    def _answer(self, z: Tensor, i: int, recompute: bool, *told: Tensor) -> Tensor:
        """What the network says to z and, if it is conditional, to what it is told of every image.

        The one place where it is called.
        """
        if self.observer is not None:
            self.observer(len(z))
        t = torch.full((len(z),), self.time(i), device=z.device)
        output: Tensor
        if recompute:
            output = checkpoint(
                self.network, z, t, *told, use_reentrant=False, preserve_rng_state=False
            )
        else:
            output = self.network(z, t, *told)
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

    def strided(self, count: int, offset: int) -> Self:
        """This prior with evenly strided steps of its full chain; the given one stays as it is.

        Raises ValueError; see `Schedule.strided`.
        """
        twin = self._copy()
        twin.schedule = self.schedule.strided(count, offset)
        return twin

    def bind(self, target: Tensor, source: Tensor | None = None) -> Self:
        """This prior for images on their way from a class to another, both int64 (B,).

        A network without conditions does not care.
        """
        return self

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


class Conditions(Protocol):
    """What a conditional network is told of classes: words that are encoded, or an embedding."""

    @property
    def null(self) -> Tensor:
        """What stands for no condition, with shape (L, D)."""
        ...

    def of(self, classes: Tensor) -> Tensor:
        """Contexts of classes, int64 (B,), with shape (B, L, D)."""
        ...


@dataclass(frozen=True, eq=False)
class ByClass:
    """Conditions that are at hand for every class.

    Attributes:
        null: see `Conditions`.
        contexts: class → its context, with shape (L, D).
    """

    null: Tensor
    contexts: Mapping[int, Tensor]

    def of(self, classes: Tensor) -> Tensor:
        """See `Conditions`. Raises MethodError: nobody said what the network is told of a class."""
        for class_ in classes.tolist():
            if class_ not in self.contexts:
                raise MethodError(f"the conditional prior knows no words for class {class_}")
        return torch.stack([self.contexts[class_] for class_ in classes.tolist()])


class ConditionalPrior(Prior):
    """A prior whose network is told what an image shows; it is bound to images before it is used.

    The network is called with z, timesteps and contexts, (B, L, D), and returns the noise alone.
    An evaluation is of every image twice, without and with the condition of its target.

    Args:
        network: the noise predictor.
        schedule: see `Prior`.
        conditions: what it is told of classes.
        space: where z lives.
    """

    asks: ClassVar[int] = 2

    def __init__(
        self, network: nn.Module, schedule: Schedule, conditions: Conditions, space: Space
    ) -> None:
        super().__init__(network, schedule)
        self.conditions = conditions
        self.space = space
        self._bound: dict[str, Tensor] = {}

    def bind(self, target: Tensor, source: Tensor | None = None) -> Self:
        twin = self._copy()
        null = self.conditions.null
        twin._bound = {
            "null": null.expand(len(target), *null.shape),
            "target": self.conditions.of(target),
        }
        if source is not None:
            twin._bound["source"] = self.conditions.of(source)
        return twin

    def noises(self, z: Tensor, i: int, *names: str, recompute: bool = False) -> tuple[Tensor, ...]:
        """The noise seen in z under conditions, in one batch of all.

        Args:
            z, i, recompute: see `evaluate`.
            names: of "null", "source" and "target".
        """
        told = torch.cat([self._bound[name] for name in names])
        stacked = torch.cat([z] * len(names))
        return self._answer(stacked, i, recompute, told).chunk(len(names))

    def evaluate(self, z: Tensor, i: int, *, recompute: bool = False) -> Tensor:
        """The noise without a condition and under the target's, behind each other as channels."""
        return torch.cat(self.noises(z, i, "null", "target", recompute=recompute), dim=1)

    def from_output(self, z: Tensor, i: int, output: Tensor, clip: bool = True) -> Posterior:
        """The posterior that no condition has; what the target's sees is `conditioned`."""
        noise, conditioned = output.chunk(2, dim=1)
        return replace(super().from_output(z, i, noise, clip), conditioned=conditioned)
