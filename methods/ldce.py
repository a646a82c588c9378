"""LDCE: latent diffusion guided by a classifier, where a conditional network agrees with it.

Latent Diffusion Counterfactual Explanations (Farid et al., 2023), as its authors released it. What
the network's condition changes, d = ε_c - ε_∅, filters and scales the classifier's gradient; it is
not added itself. Only directions count: neither weights of the joint loss nor the guidance unit of
a classifier have a meaning here. The input is encoded by a draw from the encoder's posterior, and
nothing is drawn on the way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from vcebench.methods.core.directions import channel_angle, channels_on_cone, matched
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Trace, setting, strided
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Posterior, Prior
from vcebench.methods.core.sampler import Gradient, Guided, Masks, State

OFFSET = 1
"""Timestep of the chain's index 0."""


@dataclass(frozen=True)
class Conditional(Guided):
    """A walk among latents that a conditional network sees with and without its condition.

    ε = ε_∅ + s·g, and z moves from index i to i - 1 by DDIM without noise; τ steps of a chain of n,
    each with two evaluations of the network.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"latent-text"})
    weights: ClassVar[frozenset[str]] = frozenset()
    regional: ClassVar[bool] = False
    clip_estimate: ClassVar[bool] = False

    tau: int = setting(
        191, "K, steps of the reverse loop; the latent is noised to this index", low=1
    )
    chain: int = setting(500, "n, steps kept of the prior's full chain", low=2)
    scale: float = setting(3.0, "s, weight of all guidance", low=0.0)

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
        self.check(prior, tuple(x.shape[1:]))
        walked = strided(prior, self.chain, OFFSET)
        return super().explain(
            x, target, prior=walked, guidance=guidance, noise=noise, trace=trace, extras=extras
        )

    def evaluations(self) -> tuple[int, int]:
        return 2 * self.tau, 0

    def check(self, prior: Prior | None, shape: tuple[int, ...]) -> None:
        super().check(strided(prior, self.chain, OFFSET), shape)

    def update(self, state: State, posterior: Posterior, gradient: Gradient) -> Tensor:
        noise = posterior.noise + self.scale * gradient.total
        return state.prior.schedule.ddim(state.z, noise, state.i, state.i - 1)


@dataclass(frozen=True)
class LDCEFree(Conditional):
    """*Classifier-free*: g = d, the condition alone; no classifier takes part.

    What the released configuration of CelebA-HQ computes.
    """

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        return state.prior.space.decode(posterior.x0) if state.keeps else state.x_t

    def gradient(self, state: State) -> Gradient:
        d = condition(state.posterior)
        return Gradient(d, d)


@dataclass(frozen=True)
class LDCENoConsensus(Conditional):
    """*LDCE without consensus*: g = λ_c·a - λ_d·b, both as long as d over the whole latent.

    a is -∇_z log p(target) and b the gradient of a distance, the sum of |clamp(x̂) - x| on [0, 1],
    downwards too; both are taken at the picture x̂ of the clean latent that ε_∅ estimates, through
    decoder and prior.
    """

    through_prior: ClassVar[bool] = True

    class_scale: float = setting(3.95, "λ_c, length of the class gradient in ‖d‖", low=0.0)
    distance_scale: float = setting(1.2, "λ_d, length of the distance gradient in ‖d‖", low=0.0)

    def evaluations(self) -> tuple[int, int]:
        return 2 * self.tau, self.tau * (1 + (self.distance_scale > 0))

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        return state.prior.space.decode(posterior.x0)

    def gradient(self, state: State) -> Gradient:
        guidance, d = state.guidance, condition(state.posterior).detach()
        classifier = guidance.weights.classifier
        a = -self.at_z(state, guidance.log_prob_gradient(state.x_t, classifier))
        b = torch.zeros_like(a)
        if self.distance_scale > 0:
            b = -self.at_z(state, distance_gradient(state.x_t, state.x))
        a, state.memory = self.agreed(a, d)
        a = self.class_scale * matched(a, d)
        return Gradient(a - self.distance_scale * matched(b, d), a)

    def at_z(self, state: State, gradient: Tensor) -> Tensor:
        """A gradient at the picture as one at z."""
        return state.pull_back(gradient)

    def agreed(self, a: Tensor, d: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is left of a class gradient (B, c, h, w), and where it agrees with d."""
        return a, None

    def masks(self, state: State, posterior: Posterior, gradient: Gradient) -> Masks:
        """z moves everywhere; M^x is where the class gradient counts."""
        return None, state.memory


@dataclass(frozen=True)
class LDCE(LDCENoConsensus):
    """*LDCE*: the class gradient counts at those points of the latent where it agrees with d.

    They agree where the angle between both, over the channels of a point, is at most γ; elsewhere
    a is 0 before its length is matched. Where one of them is zero they agree.
    """

    angle: float = setting(50.0, "γ, largest angle of an agreement in degrees", low=0.0, high=180.0)

    def agreed(self, a: Tensor, d: Tensor) -> tuple[Tensor, Tensor | None]:
        inside = ~(torch.rad2deg(channel_angle(a, d)) > self.angle)
        return torch.where(inside, a, self.outside_cone(a, d)), inside

    def outside_cone(self, a: Tensor, d: Tensor) -> Tensor:
        """What takes the place of a where it does not agree."""
        return torch.zeros_like(a)


@dataclass(frozen=True)
class LDCECone(LDCE):
    """*LDCE on a cone*: where they do not agree, a is moved towards d by γ instead of dropped."""

    angle: float = setting(50.0, "γ, largest angle of an agreement in degrees", low=0.0, high=89.0)

    def outside_cone(self, a: Tensor, d: Tensor) -> Tensor:
        return channels_on_cone(d, a, self.angle)


@dataclass(frozen=True)
class LDCENoBackprop(LDCE):
    """*LDCE through the decoder only*: ε_∅ is a constant, so ∇_z is the decoder's over √ᾱ."""

    through_prior: ClassVar[bool] = False

    def evaluations(self) -> tuple[int, int]:
        return 2 * self.tau, 0

    def estimate(self, state: State, posterior: Posterior) -> Tensor:
        with torch.enable_grad():
            state.memory = posterior.x0.detach().requires_grad_()
            return state.prior.space.decode(state.memory)

    def gradient(self, state: State) -> Gradient:
        found = super().gradient(state)
        state.x_t = state.x_t.detach()
        return found

    def at_z(self, state: State, gradient: Tensor) -> Tensor:
        (at_x0,) = torch.autograd.grad(state.x_t, state.memory, gradient, retain_graph=True)
        pulled: Tensor = at_x0 / state.sqrt_alpha_bar
        return pulled


@dataclass(frozen=True)
class LDCEClass(LDCE):
    """*LDCE* with a network that is told of classes and not of words."""

    needs: ClassVar[frozenset[str]] = frozenset({"latent-class"})

    class_scale: float = setting(2.3, "λ_c, length of the class gradient in ‖d‖", low=0.0)
    distance_scale: float = setting(0.3, "λ_d, length of the distance gradient in ‖d‖", low=0.0)
    angle: float = setting(45.0, "γ, largest angle of an agreement in degrees", low=0.0, high=180.0)


def condition(posterior: Posterior) -> Tensor:
    """d = ε_c - ε_∅: what the condition says, an implicit classifier."""
    if posterior.conditioned is None:
        raise MethodError("this method needs a conditional prior; give a ConditionalPrior")
    return posterior.conditioned - posterior.noise


def distance_gradient(x_t: Tensor, x: Tensor) -> Tensor:
    """∇ of Σ|clamp(x_t) - x| on [0, 1], at pictures x_t in [-1, 1]; zero where they are clamped."""
    at, inside = x_t.detach(), (x_t >= -1) & (x_t <= 1)
    return torch.where(inside, 0.5 * torch.sign(at - x), 0.0)


_PAPER = "Farid et al., Latent Diffusion Counterfactual Explanations, 2023"


def _entry(
    factory: type[Conditional],
    summary: str,
    backward: str,
    where: str = "as released",
    **fixed: Any,
) -> Entry:
    nfe = f"2τ, of the conditional network{backward}"
    return Entry(factory, summary, f"{_PAPER}, {where}", nfe, fixed, preset="ldce-txt")


ENTRIES = {
    "ldce-cls": Entry(
        LDCEClass,
        "latent diffusion told of classes; the class gradient counts where the condition agrees",
        f"{_PAPER}, as released",
        "2τ, of the conditional network, and 2τ backward passes",
    ),
    "ldce-txt": _entry(
        LDCE, "latent diffusion told by words; else as ldce-cls", ", and 2τ backward passes"
    ),
    "ldce-txt-free": _entry(
        LDCEFree,
        "classifier-free guidance by words alone: what the released faces are made with",
        "",
        "released configuration of CelebA-HQ",
    ),
    "ldce-no-consensus": _entry(
        LDCENoConsensus, "ldce-txt with the class gradient everywhere", ", and 2τ backward passes"
    ),
    "ldce-no-distance": _entry(
        LDCE,
        "ldce-txt without its pull to the input",
        ", and τ backward passes",
        distance_scale=0.0,
    ),
    "ldce-no-backprop": _entry(
        LDCENoBackprop, "ldce-txt with gradients through the decoder only", ""
    ),
    "ldce-cone": _entry(
        LDCECone,
        "ldce-txt that turns the class gradient into a cone around the condition, not dropping it",
        ", and 2τ backward passes",
        "an option of the released program",
    ),
}
