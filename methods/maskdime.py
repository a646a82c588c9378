"""MaskDiME, as the paper's equations say and as the authors released it.

Reference: MaskDiME: Adaptive Masked Diffusion for Precise and Efficient Visual Counterfactual
Explanations (Guo et al., CVPR 2026), Section 3.2, Equations 4 and 9; ablations: Tables 4, 5 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import unknown
from vcebench.methods.core.masks import blend, nested_top_k
from vcebench.methods.core.method import setting
from vcebench.methods.core.prior import Posterior
from vcebench.methods.core.sampler import Gradient, Guided, Masks, State


def _every_step(method: MaskDiME, state: State, class_gradient: Tensor) -> Masks:
    magnitude = method.magnitude(class_gradient)
    return nested_top_k(magnitude, method.top_k, method.rho, method.dilation)


def _first_step(method: MaskDiME, state: State, class_gradient: Tensor) -> Masks:
    if state.step == 0:
        return _every_step(method, state, class_gradient)
    return state.mask_z, state.mask_x


def _none(method: MaskDiME, state: State, class_gradient: Tensor) -> Masks:
    return None, None


# When the masks are made; the ablations of Table 4 are entries here.
MASKING = {"every-step": _every_step, "first-step": _first_step, "none": _none}


@dataclass(frozen=True)
class MaskDiME(Guided):
    """Two nested masks from the class gradient, renewed in every step.

    x_t ← M^x·x̂0 + (1-M^x)·x with the previous step's M^x; g = s·∇L(x_t)/√ᾱ_i;
    inside M^z: z ← mean - Σ·g + σ·noise; outside: the input noised to the next index.
    x̂0 is the estimate the posterior needs anyway: τ evaluations of the prior.
    """

    guidance_scale: float = setting(8.0, "s, factor of the guidance gradient", above=0.0)
    top_k: float = setting(0.05, "k, share of pixels in the outer mask", above=0.0, high=1.0)
    rho: float = setting(0.5, "ρ, share of those in the inner mask", above=0.0, high=1.0)
    dilation: int = setting(5, "side of the masks' dilation, in pixels", low=1, odd=True)
    masking: str = setting("every-step", "when masks are made: every-step, first-step or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.masking not in MASKING:
            raise unknown("masking", str(self.masking), MASKING)

    def start(self) -> int:
        return self.tau - 1

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        if state.step == 0:
            return state.x
        return blend(state.mask_x, posterior.x0, state.x)

    def gradient(self, state: State) -> Gradient:
        guidance = state.guidance
        class_ = guidance.class_gradient(state.x_t) / state.sqrt_alpha_bar
        distance = guidance.perceptual_gradient(state.x_t) + guidance.l1_gradient(state.x_t)
        total = self.guidance_scale * (class_ + distance / state.sqrt_alpha_bar)
        return Gradient(total, class_)

    def magnitude(self, class_gradient: Tensor) -> Tensor:
        """Absolute gradient (B, C, H, W) averaged over channels: (B, 1, H, W) (Equation 9)."""
        return class_gradient.abs().mean(dim=1, keepdim=True)

    def masks(self, state: State, posterior: Posterior, gradient: Gradient) -> Masks:
        return MASKING[self.masking](self, state, gradient.class_)

    def outside(self, state: State) -> Tensor:
        return state.noised_input(state.i - 1)


@dataclass(frozen=True)
class ReleasedMaskDiME(MaskDiME):
    """MaskDiME as released: no reverse noise, ℓ1 on z, the outside one index noisier.

    z starts at q(x, τ); outside the mask z ← q(x, i), so a little noise stays there at the end.
    """

    def start(self) -> int:
        return self.tau

    def gradient(self, state: State) -> Gradient:
        guidance = state.guidance
        class_ = guidance.class_gradient(state.x_t) / state.sqrt_alpha_bar
        perceptual = guidance.perceptual_gradient(state.x_t) / state.sqrt_alpha_bar
        distance = guidance.l1_gradient(state.z) + perceptual
        return Gradient(self.guidance_scale * (class_ + distance), class_)

    def update(self, state: State, posterior: Posterior, gradient: Gradient) -> Tensor:
        return posterior.mean - posterior.variance * gradient.total

    def outside(self, state: State) -> Tensor:
        return state.noised_input(state.i)


_PAPER = (
    "Guo et al., MaskDiME: Adaptive Masked Diffusion for Precise and Efficient Visual "
    "Counterfactual Explanations, CVPR 2026"
)


def _entry(summary: str, where: str, **fixed: Any) -> Entry:
    return Entry(MaskDiME, summary, f"{_PAPER}, {where}", "τ", fixed)


_WITHOUT_MASKS = _entry("MaskDiME without masks, s = 8", "Tables 4 and 7", masking="none")

ENTRIES = {
    "maskdime": _entry("two nested masks from the class gradient, every step", "Eqs. 4 and 9"),
    "maskdime-released": Entry(
        ReleasedMaskDiME,
        "MaskDiME as its authors released it: no reverse noise, ℓ1 on z",
        f"{_PAPER}, authors' release; Eqs. 4 and 9",
        "τ",
    ),
    "maskdime-rho1": _entry("MaskDiME with one mask, ρ = 1", "Table 5", rho=1.0),
    "maskdime-k0.025": _entry("MaskDiME with k = 0.025", "Table 5", top_k=0.025),
    "maskdime-k0.1": _entry("MaskDiME with k = 0.1", "Table 5", top_k=0.1),
    "maskdime-wo-s": _entry(
        "MaskDiME without guidance scale, s = 1", "Table 7", guidance_scale=1.0
    ),
    "maskdime-wo-mask": _WITHOUT_MASKS,
    "fixed-mask": _entry("MaskDiME with the first step's masks", "Table 4", masking="first-step"),
    "no-mask-s1": _entry(
        "MaskDiME without masks, s = 1", "Table 4", masking="none", guidance_scale=1.0
    ),
    "no-mask-s8": _WITHOUT_MASKS,
}
