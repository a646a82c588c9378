"""DiME and the variants of its ablation.

Reference: Diffusion Models for Counterfactual Explanations (Jeanneret et al., ACCV 2022),
Section 3.2, Equation 8; variants: Table 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vcebench.methods.core.entry import Entry
from vcebench.methods.core.method import setting
from vcebench.methods.core.prior import Posterior
from vcebench.methods.core.sampler import Gradient, Guided, State, chain


@dataclass(frozen=True)
class DiME(Guided):
    """Gradient at a clean estimate that a nested unguided denoising of z produces.

    g = (∇L_class + ∇L_perc)(x_t)/√ᾱ_i + ∇L₁(z);  z ← mean - Σ·g + σ·noise;  x_t ← denoised z.
    Evaluations of the prior: τ(τ+1)/2.
    """

    inner_noise: bool = setting(True, "add noise in the nested denoising, as the published scripts")

    def evaluations(self) -> tuple[int, int]:
        return self.tau * (self.tau + 1) // 2, 0

    def gradient(self, state: State) -> Gradient:
        guidance = state.guidance
        class_ = guidance.class_gradient(state.x_t) / state.sqrt_alpha_bar
        perceptual = guidance.perceptual_gradient(state.x_t) / state.sqrt_alpha_bar
        return Gradient(class_ + guidance.l1_gradient(state.z) + perceptual, class_)

    def advance(self, state: State, posterior: Posterior) -> Tensor:
        return self._denoise(state) if state.i > 0 else state.x_t

    def _denoise(self, state: State) -> Tensor:
        """The end of an unguided chain from the new z over indices i-1 … 0."""
        state.nfe += state.i
        draw = partial(state.draw, "inner") if self.inner_noise else None
        return chain(state.prior, state.z, state.i, draw)


@dataclass(frozen=True)
class DiMEDirect(Guided):
    """*Direct*: gradient at the noisy z itself, not divided by √ᾱ. τ evaluations of the prior."""

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        return state.z

    def gradient(self, state: State) -> Gradient:
        guidance = state.guidance
        class_ = guidance.class_gradient(state.z)
        distance = guidance.l1_gradient(state.z) + guidance.perceptual_gradient(state.z)
        return Gradient(class_ + distance, class_)


@dataclass(frozen=True)
class DiMENaive(DiME):
    """*Naive*: the gradient is taken at the input in every step. τ evaluations."""

    inner_noise: bool = False  # no nested chain, hence no setting

    def evaluations(self) -> tuple[int, int]:
        return self.tau, 0

    def advance(self, state: State, posterior: Posterior) -> Tensor:
        return state.x


@dataclass(frozen=True)
class DiMEUnconditional(Guided):
    """*Unconditional*: no guidance at all, the input is noised and denoised. τ evaluations."""

    def gradient(self, state: State) -> Gradient:
        nothing = torch.zeros_like(state.z)
        return Gradient(nothing, nothing)


@dataclass(frozen=True)
class DiMEEarlyStopping(DiME):
    """*Early stopping*: an image is no longer guided once its x_t is classified as the target.

    The nested chain ends with the guidance, so an image counts the evaluations it needed; a batch
    runs until its last image has stopped.
    """

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        # x_t of the first step is the input, which is not the target by the choice of target.
        state.stopped = state.stopped | state.guidance.flipped(state.x_t)
        return state.x_t

    def gradient(self, state: State) -> Gradient:
        total, class_ = super().gradient(state)
        active = ~state.stopped.view(-1, 1, 1, 1)
        return Gradient(total * active, class_ * active)

    def advance(self, state: State, posterior: Posterior) -> Tensor:
        if state.i == 0 or bool(state.stopped.all()):
            return state.x_t
        before = state.nfe.clone()
        x_t = self._denoise(state)
        state.nfe = torch.where(state.stopped, before, state.nfe)
        return torch.where(state.stopped.view(-1, 1, 1, 1), state.x_t, x_t)


_PAPER = "Jeanneret et al., Diffusion Models for Counterfactual Explanations, ACCV 2022"

ENTRIES = {
    "dime": Entry(
        DiME,
        "gradient at a nested denoising of z, with noise in the nested chain",
        f"{_PAPER}, Eq. 8",
        "τ(τ+1)/2",
    ),
    "dime-deterministic": Entry(
        DiME,
        "DiME with a noise-free nested chain",
        f"{_PAPER}, Eq. 8",
        "τ(τ+1)/2",
        {"inner_noise": False},
    ),
    "dime-direct": Entry(
        DiMEDirect, "gradient at the noisy z itself", f"{_PAPER}, Table 2 (Direct)", "τ"
    ),
    "dime-naive": Entry(
        DiMENaive, "gradient at the input in every step", f"{_PAPER}, Table 2 (Naive)", "τ"
    ),
    "dime-early-stopping": Entry(
        DiMEEarlyStopping,
        "DiME, guided only until x_t is classified as the target",
        f"{_PAPER}, Table 2 (Early Stopping)",
        "at most τ(τ+1)/2",
    ),
    "dime-unconditional": Entry(
        DiMEUnconditional,
        "no guidance: the input is noised and denoised",
        f"{_PAPER}, Table 2 (Unconditional)",
        "τ",
    ),
}
