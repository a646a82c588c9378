"""What a latent diffusion model draws when it is told to, without any classifier.

References: Classifier-Free Diffusion Guidance (Ho & Salimans, 2021), Equation 6; Denoising
Diffusion Implicit Models (Song et al., 2021), Equation 12.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vcebench.methods.core.prior import ConditionalPrior
from vcebench.methods.core.transport import Plain, transport
from vcebench.models.latent import LatentModel

BATCH = 32


@torch.no_grad()
def denoised(prior: ConditionalPrior, z: Tensor, index: int, scale: float, away: str) -> Tensor:
    """Latents led to what the target's condition says, from a noise level to the clean end.

    Args:
        prior: bound to the images.
        z: noisy latents at `index`, with shape (B, c, h, w).
        index: of the prior's chain.
        scale: of the difference of the noises with and without the condition; 1 is the condition.
        away: what is without: "null", or "source" for the other condition.
    """

    def epsilon(z: Tensor, i: int) -> Tensor:
        without, told = prior.noises(z, i, away, "target")
        return without + scale * (told - without)

    down = [(i, i - 1) for i in range(index, -1, -1)]
    (z,) = transport(prior, (z,), down, epsilon, Plain())
    return z


@torch.no_grad()
def drawn(
    model: LatentModel, prompt: str, shape: tuple[int, int, int], seeds: range, scale: float
) -> Tensor:
    """Pictures of a prompt from pure noise, in [-1, 1], one for each seed, (N, 3, H, W).

    Args:
        shape: (3, H, W) of the pictures.
        scale: see `denoised`.
    """
    prior = model.prior(model.told_words({0: prompt}))
    size = prior.space.encode(torch.zeros(1, *shape, device=prior.conditions.null.device)).shape[1:]
    noise = [torch.randn(size, generator=torch.Generator().manual_seed(k)) for k in seeds]
    made = []
    start = torch.stack(noise).to(prior.conditions.null.device)
    for part in torch.chunk(start, -(-len(start) // BATCH)):
        bound = prior.bind(torch.zeros(len(part), dtype=torch.int64))
        z = denoised(bound, part, len(prior.schedule) - 1, scale, "null")
        made.append(bound.space.decode(z).clamp(-1, 1))
    return torch.cat(made)


@torch.no_grad()
def redrawn(
    prior: ConditionalPrior, x: Tensor, target: int, source: int, half: int, scale: float, seed: int
) -> Tensor:
    """Pictures noised half way and drawn again as another class, away from the one they are of.

    Args:
        prior: with words of both classes.
        x: pictures in [-1, 1], with shape (B, 3, H, W).
        target, source: classes that they are led to, and away from.
        half: index that they are noised to.
        scale: see `denoised`.
        seed: of the noise.
    """
    classes = torch.full((len(x),), target), torch.full((len(x),), source)
    bound = prior.bind(*classes)
    z = bound.space.encode(x)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed))
    z = denoised(bound, bound.schedule.q_sample(z, half, noise), half, scale, "source")
    return bound.space.decode(z).clamp(-1, 1)
