"""A small latent diffusion model: an autoencoder, then a U-Net that is told what to draw.

Both are classes of the library diffusers, and the folder that results is one that it loads.

References: High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022),
Sections 3.1 to 3.3; Classifier-Free Diffusion Guidance (Ho & Salimans, 2021), Algorithm 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.training import augment
from vcebench.training.half import half
from vcebench.training.loop import Loss

CHAIN = {"beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
"""Of Stable Diffusion: β runs evenly between the square roots."""
KL = 1e-4
CELL = 8
FOCUS, SHARE = 600, 0.8
"""Part of the draws below this timestep: edits start in the first seven tenths of the chain."""
DROPPED = 0.1
"""How often the condition is the null one."""


class Conditions(NamedTuple):
    """What each picture shows, as ids.

    Attributes:
        ids: int64 with shape (N, K, L): K descriptions of each of N pictures, L ids each.
        null: int64 with shape (L,): says nothing.
    """

    ids: Tensor
    null: Tensor


class AutoencoderTrainer(nn.Module):
    """Encodes, samples and decodes: (x, noise) → picture, mean and log-variance of the latent.

    Args:
        network: diffusers' AutoencoderKL.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, 3, H, W) to themselves, through a sample of their posterior."""
        posterior = self.network.encode(x).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator)
        z = posterior.mean + posterior.std * noise
        return self.network.decode(z).sample, posterior.mean, posterior.logvar


class DenoiserTrainer(nn.Module):
    """A U-Net and the network that reads its conditions: (z, t, ids) → noise.

    Args:
        network: diffusers' UNet2DConditionModel.
        told: reads ids.
    """

    def __init__(self, network: nn.Module, told: nn.Module) -> None:
        super().__init__()
        self.network, self.told = network, told

    def forward(self, z: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """Noise in z (B, C, h, w) at timesteps t (B,) under conditions ids (B, L)."""
        out: Tensor = self.network(z, t, self.told(ids), return_dict=False)[0]
        return out


class TextReader(nn.Module):
    """Last hidden state of transformers' CLIPTextModel, every token seen."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor) -> Tensor:
        """Context (B, L, C) of ids (B, L)."""
        out: Tensor = self.encoder(ids)[0]
        return out


class ClassReader(nn.Module):
    """A row for each class and, behind them, for none.

    Args:
        classes: number of classes.
        width: of a row.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes + 1, width)

    def forward(self, ids: Tensor) -> Tensor:
        """Context (B, 1, C) of classes (B, 1)."""
        out: Tensor = self.embedding(ids)
        return out


def autoencoder_loss(images: Tensor, batch: int) -> Loss:
    """Absolute differences of pictures, their edges and their cells' colours, and a little KL.

    Cells of 8 pixels keep the hue of plain backgrounds, which the other terms learn last.

    Args:
        images: uint8 with shape (N, 3, H, W).
        batch: pictures in a step.
    """

    def loss(trained: nn.Module, generator: torch.Generator) -> Tensor:
        x = augment.mirror(augment.draw(images, batch, generator)[0], generator)
        with half():
            made, mean, log_variance = trained(x, generator)
        made, mean, log_variance = made.float(), mean.float(), log_variance.float()
        wrong = made - x
        edges = wrong.diff(dim=2).abs().mean() + wrong.diff(dim=3).abs().mean()
        colours = F.avg_pool2d(wrong, CELL).abs().mean()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        total: Tensor = wrong.abs().mean() + edges + colours + KL * kl
        return total

    return loss


def denoiser_loss(latents: Tensor, conditions: Conditions, scaling: float, batch: int) -> Loss:
    """Squared error of the noise in latents, under one of their descriptions or the null one.

    Args:
        latents: mean and log-variance of the posteriors, float16 with shape (N, 2·C, h, w).
        conditions: of the same N pictures.
        scaling: factor that gives latents unit variance.
        batch: latents in a step.
    """
    ids, null = conditions
    kept = alphas_cumprod()[:, None, None, None]
    shape = batch, *latents[0].chunk(2)[0].shape

    def loss(trained: nn.Module, generator: torch.Generator) -> Tensor:
        def draw(largest: int) -> Tensor:
            return torch.randint(largest, (batch,), generator=generator)

        chosen = draw(len(latents))
        noise, other = torch.randn((2, *shape), generator=generator)
        x = sampled(latents[chosen], scaling, other)
        low = torch.rand(batch, generator=generator) < SHARE
        t = torch.where(low, draw(FOCUS), draw(len(kept)))
        told = ids[chosen, draw(ids.shape[1])]
        dropped = torch.rand(batch, 1, generator=generator) < DROPPED
        z = kept[t].sqrt() * x + (1 - kept[t]).sqrt() * noise
        with half():
            found = trained(z, t, torch.where(dropped, null, told))
        return F.mse_loss(found.float(), noise)

    return loss


def alphas_cumprod() -> Tensor:
    """ᾱ of the full chain, float32 with shape (1000,)."""
    steps = int(CHAIN["num_train_timesteps"])
    schedule = scaled_linear_schedule(CHAIN["beta_start"], CHAIN["beta_end"], steps, 0, "float32")
    return torch.from_numpy(schedule.alphas_cumprod).float()


@torch.no_grad()
def posteriors(network: Any, images: Tensor, batch: int = 64) -> Tensor:
    """Mean and log-variance of the latents of pictures, float16 with shape (N, 2·C, h, w).

    Args:
        network: diffusers' AutoencoderKL.
        images: uint8 with shape (N, 3, H, W).
    """
    found = []
    for start in range(0, len(images), batch):
        posterior = network.encode(augment.to_network(images[start : start + batch])).latent_dist
        found.append(torch.cat([posterior.mean, posterior.logvar], dim=1).half())
    return torch.cat(found)


def sampled(latents: Tensor, scaling: float, noise: Tensor) -> Tensor:
    """Latents drawn from their posteriors, times their scaling: c·(μ + σ·noise).

    Args:
        latents: as from `posteriors`, with shape (B, 2·C, h, w).
        scaling: c.
        noise: with shape (B, C, h, w).
    """
    mean, log_variance = latents.float().chunk(2, dim=1)
    return scaling * (mean + (0.5 * log_variance).exp() * noise)


def scaling_factor(latents: Tensor) -> float:
    """1/σ of the posteriors' means, over all pictures and entries."""
    return 1 / float(latents.chunk(2, dim=1)[0].float().std())
