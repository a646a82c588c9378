"""ECED: an attack among the latents of a region, seen through a short blended denoising.

From Visual Explanations to Counterfactual Explanations with Latent Diffusion. No program of its
authors is public: this is our reading of the text, which leaves several numbers open; what is ours
is said at its setting. It builds on Blended Latent Diffusion (Avrahami et al., SIGGRAPH 2023),
whose chain begins at timestep 0.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vcebench.methods.core.adam import Moments
from vcebench.methods.core.attributions import last_convolution, score_cam
from vcebench.methods.core.descent import Descending, Descent, descend
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance, TargetClassifier
from vcebench.methods.core.masks import blend
from vcebench.methods.core.method import (
    NOTHING,
    Explanation,
    Extras,
    Trace,
    given,
    setting,
    strided,
)
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import ConditionalPrior, Prior
from vcebench.methods.core.space import Latents
from vcebench.methods.core.transport import Plain, State, transport

OFFSET = 0
"""Timestep of the chain's index 0."""


@dataclass(frozen=True)
class Scene:
    """What a walk in a region keeps.

    Attributes:
        region: where the classifier looks for the input's class, bool (B, 1, H, W).
        mask: the same at the size of latents, (B, 1, h, w).
        background: the latents that stay outside, (B, c, h, w).
        decoders: leads from latents to pictures, one for each image.
        moments: Adam's, of the latents that move.
    """

    region: Tensor
    mask: Tensor
    background: Tensor
    decoders: list[Latents]
    moments: Moments


@dataclass(frozen=True)
class ECED(Descending):
    """z_f ← Adam(z_f, ∇ -log p(target)) inside a region, K times; the last picture is the result.

    The region is where Score-CAM of the input's class reaches a threshold. A picture is made of
    z = m·z_f + (1-m)·z_b: noised to the first of the last T' steps of a chain, denoised under the
    target's words, with the noised z_b blended back after every step, and decoded. Decoder and z_b
    are first tuned to each input outside its region. Gradients go through all of it, and are zero
    outside the region. 2·T' evaluations and backward passes in each of the K rounds.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"latent-text"})
    weights: ClassVar[frozenset[str]] = frozenset()

    iterations: int = setting(60, "K, rounds of the attack; ours", low=1)
    learning_rate: float = setting(0.01, "length of Adam's steps; ours", above=0.0)
    chain: int = setting(50, "steps kept of the prior's full chain", low=1)
    denoising_steps: int = setting(5, "T', steps of a denoising, the last ones; ours", low=1)
    strength: float = setting(7.5, "weight of the target's words against none; ours")
    threshold: float = setting(
        0.5, "least value of Score-CAM in the region, in [0, 1]; ours", low=0.0, high=1.0
    )
    layer: str = setting("", "module Score-CAM looks at, the last convolution unless named")
    tuning_steps: int = setting(500, "steps that tune the decoder to an input", low=0)
    tuning_rate: float = setting(1e-4, "length of their Adam's steps; ours", above=0.0)

    @property
    def passes(self) -> int:
        return self.iterations

    def evaluations(self) -> tuple[int, int]:
        count = 2 * self.iterations * self.denoising_steps
        return count, count

    def check(self, prior: Prior | None, shape: tuple[int, ...]) -> None:
        strided(prior, self.chain, OFFSET)
        if self.denoising_steps > self.chain:
            raise MethodError(
                f"denoising-steps is {self.denoising_steps}, but {self.chain} steps are kept of "
                f"the chain; use 1 … {self.chain}"
            )

    def check_classifier(self, classifier: TargetClassifier) -> None:
        self.seen_layer(classifier)

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
        bound = strided(prior, self.chain, OFFSET).bind(target)
        state = Descent(bound, guidance.bind(x, target), noise)
        found = descend(self, state, trace)
        region = state.memory.region
        return replace(found, mask_z=region, mask_x=region)

    def begin(self, state: Descent) -> Tensor:
        space = _space(state.prior)
        region = self.region(state)
        origin = space.encode(state.x)
        rows = [self.tuned(state, space, origin, region, row) for row in range(len(origin))]
        background = torch.cat([one for one, _ in rows])
        mask = space.shrink(region, origin)
        decoders = [decoder for _, decoder in rows]
        state.memory = Scene(region, mask, background, decoders, Moments.zeros(origin))
        return self.first(origin, state.memory)

    def region(self, state: Descent) -> Tensor:
        """Where the classifier looks for the class that it sees in the input."""
        weights = state.guidance.weights
        source = weights.classifier.predict(state.x) if weights.source is None else weights.source
        layer = self.seen_layer(weights.classifier)
        return score_cam(state.x, source, weights.classifier, layer) >= self.threshold

    def seen_layer(self, classifier: TargetClassifier) -> nn.Module:
        """The module of the classifier that Score-CAM looks at."""
        return named(classifier, self.layer) if self.layer else last_convolution(classifier)

    def tuned(
        self, state: Descent, space: Latents, origin: Tensor, region: Tensor, row: int
    ) -> tuple[Tensor, Latents]:
        """Background latent (1, c, h, w) of an image, and a decoder that shows it outside."""
        one = slice(row, row + 1)
        schedule, shape = given(state.prior).schedule, tuple(origin.shape[1:])

        def noised(z: Tensor, step: int) -> Tensor:
            noise = state.noise.draw("background", step, shape=shape)
            return schedule.q_sample(z, 0, noise[one])

        outside = ~region[one]
        if not bool(outside.any()):
            return origin[one], space
        return tune(
            space, state.x[one], origin[one], outside, noised, self.tuning_steps, self.tuning_rate
        )

    def first(self, origin: Tensor, scene: Scene) -> Tensor:
        """The first latents that move."""
        return origin

    def mixed(self, scene: Scene, v: Tensor) -> Tensor:
        """The latents a picture begins from."""
        return blend(scene.mask, v, scene.background)

    def generate(self, state: Descent, v: Tensor) -> Tensor:
        scene, prior, last = state.memory, _conditional(state.prior), self.denoising_steps - 1
        shape = tuple(v.shape[1:])

        def epsilon(z: Tensor, i: int) -> Tensor:
            null, words = prior.noises(z, i, "null", "target", recompute=True)
            return null + self.strength * (words - null)

        def after(walked: State, i: int) -> State:
            noise = state.noise.draw("blend", state.step, last - i, shape=shape)
            background = prior.schedule.q_sample(scene.background, i, noise)
            return (blend(scene.mask, walked[0], background),)

        start = state.noise.draw("start", state.step, shape=shape)
        z = prior.schedule.q_sample(self.mixed(scene, v), last, start)
        down = [(i, i - 1) for i in range(last, -1, -1)]
        (z,) = transport(prior, (z,), down, epsilon, Plain(), after)
        state.nfe += 2 * self.denoising_steps
        state.backward += 2 * self.denoising_steps
        pictures = zip(scene.decoders, z, strict=True)
        return torch.cat([decoder.decode(latent[None]) for decoder, latent in pictures])

    def loss(self, state: Descent, images: Tensor) -> Tensor:
        return -state.guidance.log_prob(images)

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        scene: Scene = state.memory
        moments = scene.moments.updated(self.pruned(scene, gradient))
        state.memory = replace(scene, moments=moments)
        return state.v - self.learning_rate * moments.direction()

    def pruned(self, scene: Scene, gradient: Tensor) -> Tensor:
        """What is left of the gradient."""
        return gradient * scene.mask

    def finish(self, state: Descent) -> Tensor:
        return state.images


@dataclass(frozen=True)
class ECEDNoPrune(ECED):
    """*ECED without pruning*: the gradient moves the latent outside of the region as well.

    What is blended back after every step still holds the region; only a denoising's beginning is
    free. Ours: the paper names no ablation of this kind.
    """

    def first(self, origin: Tensor, scene: Scene) -> Tensor:
        return blend(scene.mask, origin, scene.background)

    def mixed(self, scene: Scene, v: Tensor) -> Tensor:
        return v

    def pruned(self, scene: Scene, gradient: Tensor) -> Tensor:
        return gradient


def tune(
    space: Latents,
    x: Tensor,
    z: Tensor,
    outside: Tensor,
    noised: Callable[[Tensor, int], Tensor],
    steps: int,
    rate: float,
) -> tuple[Tensor, Latents]:
    """A latent and a copy of its decoder, by Adam, that show an image outside of its region.

    The loss is the mean over pixels outside of (D(noised(z)) - x)².

    Args:
        space: whose decoder is copied.
        x, z: image (1, C, H, W) and its latent.
        outside: bool (1, 1, H, W), somewhere true.
        noised: a latent with the noise of a step that a result keeps.
        steps, rate: how often, and how far a step leads.
    """
    if steps == 0:
        return z, space
    if not isinstance(space.autoencoder, nn.Module):
        raise MethodError("an autoencoder that is tuned must be a torch.nn.Module; give one")
    network = copy.deepcopy(space.autoencoder).requires_grad_(True)
    own, kept = replace(space, autoencoder=network), outside.expand_as(x)
    with torch.enable_grad():
        moving = z.detach().clone().requires_grad_()
        optimiser = torch.optim.Adam([moving, *network.parameters()], rate)
        for step in range(steps):
            optimiser.zero_grad()
            error = (own.decode(noised(moving, step)) - x)[kept]
            error.square().mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    network.requires_grad_(False)
    return moving.detach(), own


def named(classifier: object, layer: str) -> nn.Module:
    """A module of a classifier by the end of its name. Raises MethodError if it has none."""
    if isinstance(classifier, nn.Module):
        found: dict[str, nn.Module] = dict(classifier.named_modules())
        names = [name for name in found if f".{name}".endswith(f".{layer}")]
        if names:
            return found[names[0]]
    raise MethodError(
        f"the classifier has no module {layer!r} that Score-CAM could look at; use eced-v, which "
        "looks at the last convolution unless told otherwise"
    )


def _conditional(prior: Prior | None) -> ConditionalPrior:
    if not isinstance(prior, ConditionalPrior):
        raise MethodError("this method needs a conditional prior; give a ConditionalPrior")
    return prior


def _space(prior: Prior | None) -> Latents:
    space = given(prior).space
    if not isinstance(space, Latents):
        raise MethodError("this method walks among latents; give a prior whose space is Latents")
    return space


_PAPER = (
    "Luu et al., From Visual Explanations to Counterfactual Explanations with Latent Diffusion, "
    "WACV 2025"
)


def _entry(summary: str, factory: type[ECED] = ECED, **fixed: Any) -> Entry:
    nfe = "2·T'·K, and as many backward passes, of the conditional network"
    return Entry(factory, summary, f"{_PAPER}; our reading of it", nfe, fixed, preset="eced-v")


ENTRIES = {
    "eced-v": _entry("attack among the latents where the classifier looks, denoised in a blend"),
    "eced-r": _entry(
        "eced-v by the second of the last three blocks of a ResNet-50", layer="layer4.1"
    ),
    "eced-no-prune": _entry(
        "eced-v whose gradient also moves what lies outside of the region", ECEDNoPrune
    ),
    "eced-no-tuning": _entry("eced-v with the decoder as it is", tuning_steps=0),
}
