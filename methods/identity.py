"""What an autoencoder alone does to images: the floor under every method that walks in latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vcebench.methods.core.entry import Entry
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Method, Trace, given
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Prior


@dataclass(frozen=True)
class LatentIdentity(Method):
    """decode(encode(x)), with the mean of the encoder's posterior: no target and no evaluation."""

    needs: ClassVar[frozenset[str]] = frozenset({"latent-text"})
    weights: ClassVar[frozenset[str]] = frozenset()

    @property
    def steps(self) -> int:
        return 1

    def evaluations(self) -> tuple[int, int]:
        return 0, 0

    @torch.no_grad()
    def explain(
        self,
        x: Tensor,
        target: Tensor,
        *,
        prior: Prior | None,
        guidance: Guidance,
        noise: Noise,
        trace: Trace | None = None,
        extras: Extras = NOTHING,
    ) -> Explanation:
        space = given(prior).space
        z = space.encode(x)
        x_cf = space.decode(z)
        if trace is not None:
            trace.record(0, 0, z, x_cf, None, None)
        return Explanation(x_cf, torch.zeros(len(x), dtype=torch.int64, device=x.device))


@dataclass(frozen=True)
class LatentIdentityClass(LatentIdentity):
    """The same, where latents have a network that is told of classes."""

    needs: ClassVar[frozenset[str]] = frozenset({"latent-class"})


_PAPER = (
    "this package; Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, "
    "CVPR 2022"
)

ENTRIES = {
    "latent-identity": Entry(
        LatentIdentity,
        "decoded as encoded: the floor under every method told by words",
        _PAPER,
        "0",
    ),
    "latent-identity-cls": Entry(
        LatentIdentityClass,
        "decoded as encoded: the floor under ldce-cls",
        _PAPER,
        "0",
    ),
}
