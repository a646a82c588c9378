"""FastDiME and its two-pass variants.

Reference: Fast Diffusion-Based Counterfactuals for Shortcut Removal and Generation (Weng et al.,
ECCV 2024): the efficient gradient estimate and the self-optimised mask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from vcebench.methods.core.entry import Entry
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.masks import blend, pixel_difference
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Trace, setting
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Posterior, Prior
from vcebench.methods.core.sampler import Gradient, Guided, Masks, State, reverse


@dataclass(frozen=True)
class FastDiME(Guided):
    """Gradient at the one-step estimate of the previous iteration, and a mask that follows it.

    z ← mean - Σ·g + σ·noise;  x_t ← x̂0. From `warm_up` steps on, pixels where x̂0 still equals the
    input keep it: x_t ← x, z ← q(x, i), and in the end z ← x. τ evaluations of the prior.
    """

    warm_up: int | None = setting(None, "steps before the mask is used; τ/2 unless given", low=0)
    threshold: float = setting(
        0.15, "relative pixel difference that is edited", above=0.0, high=1.0
    )
    dilation: int = setting(5, "side of the mask's dilation, in pixels", low=1, odd=True)
    scale_grads: bool = setting(False, "divide gradients by √ᾱ")

    def gradient(self, state: State) -> Gradient:
        guidance = state.guidance
        divisor = state.sqrt_alpha_bar if self.scale_grads else 1.0
        class_ = guidance.class_gradient(state.x_t) / divisor
        perceptual = guidance.perceptual_gradient(state.x_t) / divisor
        return Gradient(class_ + guidance.l1_gradient(state.z) + perceptual, class_)

    def masks(self, state: State, posterior: Posterior, gradient: Gradient) -> Masks:
        warm_up = self.tau // 2 if self.warm_up is None else self.warm_up
        if state.step < warm_up:
            return None, None
        mask = self.difference(posterior.x0, state.x)
        return mask, mask

    def advance(self, state: State, posterior: Posterior) -> Tensor:
        return blend(state.mask_x, posterior.x0, state.x)

    def finish(self, state: State) -> Tensor:
        return blend(state.mask_z, state.z, state.x)

    def difference(self, estimate: Tensor, x: Tensor) -> Tensor:
        """Pixels that differ between estimate and input, bool with shape (B, 1, H, W)."""
        return pixel_difference(estimate, x, self.threshold, self.dilation)


@dataclass(frozen=True)
class _Unmasked(FastDiME):
    """FastDiME without a mask."""

    def masks(self, state: State, posterior: Posterior, gradient: Gradient) -> Masks:
        return None, None


@dataclass(frozen=True)
class GivenMask(FastDiME):
    """FastDiME with one given mask, boolean with shape (B, 1, H, W), in every step."""

    mask: Tensor | None = None

    def masks(self, state: State, posterior: Posterior, gradient: Gradient) -> Masks:
        return self.mask, self.mask


@dataclass(frozen=True)
class FastDiME2(FastDiME):
    """*FastDiME-2*: a pass without masks, then a pass inside the first one's difference mask.

    Both passes run at one λ_c, the second with noise of its own. 2τ evaluations of the prior.
    """

    def evaluations(self) -> tuple[int, int]:
        return 2 * self.tau, 0

    def first_pass(self) -> FastDiME:
        """The method of the first pass."""
        return _Unmasked(**self.settings())

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
        bound = guidance.bind(x, target)
        draft = reverse(self.first_pass(), prior, bound, noise, extras=extras)
        mask = self.difference(draft.x_cf, x)
        second = GivenMask(**self.settings(), mask=mask)
        result = reverse(second, prior, bound, noise, trace, extras, pass_index=1)
        return replace(result, nfe=draft.nfe + result.nfe)


@dataclass(frozen=True)
class FastDiME2Plus(FastDiME2):
    """*FastDiME-2+*: as FastDiME-2, with the self-optimised mask in the first pass."""

    def first_pass(self) -> FastDiME:
        return FastDiME(**self.settings())


_PAPER = (
    "Weng et al., Fast Diffusion-Based Counterfactuals for Shortcut Removal and Generation, "
    "ECCV 2024"
)

ENTRIES = {
    "fastdime": Entry(
        FastDiME,
        "gradient at the previous one-step estimate, self-optimised mask",
        f"{_PAPER}, efficient gradient estimate and self-optimised mask",
        "τ",
    ),
    "fastdime-2": Entry(
        FastDiME2,
        "FastDiME twice: without masks, then inside the difference found",
        f"{_PAPER}, FastDiME-2",
        "2τ",
    ),
    "fastdime-2plus": Entry(
        FastDiME2Plus,
        "FastDiME twice: with its mask, then inside the difference found",
        f"{_PAPER}, FastDiME-2+",
        "2τ",
    ),
}
