"""DiVE and xGEM+: descent among the codes of an autoencoder, without a diffusion prior.

z = μ + ε moves from the code μ of the input until most of its E explanations are classified as the
target; what comes of it is a picture the autoencoder can make, and no nearer to the input than its
reconstruction is.

Reference: Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations (Rodríguez
et al., ICCV 2021), and the program released with it. Different from the program: every image stops
by itself and has a loss of its own, where a batch stops and is averaged there; and one of the E
explanations is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.methods.core.adam import Moments
from vcebench.methods.core.descent import Descending, Descent
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError, unknown
from vcebench.methods.core.method import setting
from vcebench.methods.core.space import Autoencoder

START = 0.01
"""Deviation of the first ε."""


@dataclass
class Codes:
    """What a walk among codes keeps.

    Attributes:
        mean: μ, with shape (B, 1, c).
        mask: 1 where a code may move, (1, E, c).
        moments: Adam's, of ε.
        epsilon: ε of the last pass, (B, E, c).
        lead: margin of its images, (B, E); above 0 where they are classified as the target.
    """

    mean: Tensor
    mask: Tensor
    moments: Moments
    epsilon: Tensor
    lead: Tensor


@dataclass(frozen=True)
class DiVE(Descending):
    """E explanations at once, from E small random steps away from μ, all codes free.

    L = mean_E BCE(f(x'), target) + [w_r·Σ_E,C mean_HW|x - x'| + w_l·‖ε‖₁ + w_d·Σ_e≠f cos²(ε_e,
    ε_f)]/(E·c) for each image, x' = decode(μ + ε), followed by Adam; c counts the codes that may
    move. The counterfactual is x' of the last pass, before its step. Evaluations are the decoder's.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"autoencoder"})
    weights: ClassVar[frozenset[str]] = frozenset()

    iterations: int = setting(20, "passes at most", low=1)
    learning_rate: float = setting(0.01, "length of Adam's steps", above=0.0)
    explanations: int = setting(8, "E, explanations of an image; one is kept", low=1)
    reconstruction: float = setting(10.0, "w_r, weight of the ℓ1 distance from the input", low=0.0)
    lasso: float = setting(1.0, "w_l, weight of the ℓ1 norm of ε", low=0.0)
    diversity: float = setting(1.0, "w_d, weight of the squared cosines among ε", low=0.0)
    enough: float = setting(
        0.9, "share of its explanations that has to flip for an image to stop", above=0.0, high=1.0
    )
    pick: str = setting(
        "nearest",
        "which explanation is kept: nearest (the flipped one with the smallest ‖ε‖₁, else the "
        "surest), surest (the one with the largest margin) or first",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pick not in PICKS:
            raise unknown("pick", str(self.pick), PICKS)

    @property
    def passes(self) -> int:
        return self.iterations

    def evaluations(self) -> tuple[int, int]:
        return self.explanations * self.passes, self.explanations * self.passes

    def begin(self, state: Descent) -> Tensor:
        mean = self._network(state).encode(state.x)[0][:, None]
        mask = self.mask(state, mean.shape[2]).to(mean)
        first = START * state.noise.draw("start", 0, shape=(self.explanations, mean.shape[2]))
        epsilon = first * mask
        lead = torch.zeros_like(epsilon[:, :, 0])
        state.memory = Codes(mean, mask, Moments.zeros(epsilon), epsilon, lead)
        return epsilon

    def mask(self, state: Descent, codes: int) -> Tensor:
        """Which of c codes each explanation may move: 0 or 1, (1, E, c)."""
        return torch.ones(1, self.explanations, codes)

    def generate(self, state: Descent, v: Tensor) -> Tensor:
        memory: Codes = state.memory
        memory.epsilon = v
        made = self.explanations * ~state.stopped
        state.nfe += made
        state.backward += made
        return self._network(state).decode((memory.mean + v).flatten(0, 1))

    def loss(self, state: Descent, images: Tensor) -> Tensor:
        memory: Codes = state.memory
        weights, many = state.guidance.weights, self.explanations
        target = state.guidance.target.repeat_interleave(many)
        source = None if weights.source is None else weights.source.repeat_interleave(many)
        lead = weights.classifier.margin(images, target, source).float().view(-1, many)
        memory.lead = lead.detach()
        away = (images.view(-1, many, *images.shape[1:]) - state.x[:, None]).abs().mean(dim=(3, 4))
        kept = self.reconstruction * away.sum(dim=(1, 2))
        kept = kept + self.lasso * memory.epsilon.abs().sum(dim=(1, 2))
        kept = kept + self.diversity * alike(memory.epsilon)
        loss: Tensor = F.softplus(-lead).mean(dim=1) + kept / memory.mask.sum()
        return loss

    def rule(self, state: Descent, gradient: Tensor) -> Tensor:
        memory: Codes = state.memory
        memory.moments = memory.moments.updated(gradient, ~state.stopped)
        step = memory.moments.direction()
        return (state.v - self.learning_rate * step) * memory.mask

    def stop(self, state: Descent) -> Tensor:
        memory: Codes = state.memory
        return (memory.lead > 0).float().mean(dim=1) >= self.enough

    def finish(self, state: Descent) -> Tensor:
        memory: Codes = state.memory
        chosen = PICKS[self.pick](memory.lead, memory.epsilon.detach().abs().sum(dim=2))
        first = torch.arange(len(chosen), device=chosen.device) * self.explanations
        return state.images[first + chosen]

    def _network(self, state: Descent) -> Autoencoder:
        network = state.extras.autoencoder
        if not isinstance(network, Autoencoder):
            raise MethodError("this method walks in an autoencoder, and there is none; give one")
        return network


@dataclass(frozen=True)
class DiVEFisher(DiVE):
    """*Fisher spectral*: each explanation moves one cluster of codes, and nothing else.

    Codes are clustered by how the classifier depends on them together: spectral clustering with the
    Fisher matrix as affinity, E clusters.
    """

    explanations: int = setting(8, "E, explanations of an image; one is kept", low=2)

    def mask(self, state: Descent, codes: int) -> Tensor:
        matrix = state.extras.fisher
        if matrix is None:
            raise MethodError(
                "this method needs the Fisher matrix of the classifier in the autoencoder's codes; "
                "give fisher=…, as vcebench.methods.dive.fisher finds it"
            )
        if self.explanations >= codes:
            raise MethodError(
                f"explanations is {self.explanations}, and there are {codes} codes to share among "
                f"them; use 2 … {codes - 1}"
            )
        found = clusters(matrix, self.explanations).to(matrix.device)
        numbers = torch.arange(self.explanations, device=matrix.device)
        return (found == numbers[:, None])[None].float()


@dataclass(frozen=True)
class DiVEFisherInverse(DiVEFisher):
    """*Fisher spectral, inverted*: each explanation moves all codes but those of one cluster."""

    def mask(self, state: Descent, codes: int) -> Tensor:
        return 1 - super().mask(state, codes)


def alike(epsilon: Tensor) -> Tensor:
    """Σ over pairs e ≠ f, both orders, of cos²(ε_e, ε_f), with shape (B,); ε (B, E, c)."""
    unit = F.normalize(epsilon, dim=2, eps=1e-12)
    cosines = unit @ unit.transpose(1, 2)
    apart = 1 - torch.eye(cosines.shape[1], device=cosines.device)
    return (cosines * apart).square().sum(dim=(1, 2))


def fisher(
    decode: Callable[[Tensor], Tensor], logit: Callable[[Tensor], Tensor], mean: Tensor
) -> Tensor:
    """Σ J Jᵀ over images, J = ∂logit/∂z at their codes: (c, c), as the program computes it.

    A Fisher information would weigh each image by p(1 - p), which the program leaves out.

    Args:
        decode: codes (B, c) to pictures.
        logit: pictures to one logit each, (B,).
        mean: codes of the images, (B, c); matrices of parts of a set add up.
    """
    with torch.enable_grad():
        at = mean.detach().requires_grad_()
        (slope,) = torch.autograd.grad(logit(decode(at)).sum(), at)
    return slope.T @ slope


def clusters(matrix: Tensor, count: int) -> Tensor:
    """Number of the cluster of each code, int64 (c,), with a matrix (c, c) as affinity."""
    from sklearn.cluster import SpectralClustering  # type: ignore[import-untyped]

    affinity = (matrix - matrix.min()).double()
    affinity = affinity / affinity.max()
    found = SpectralClustering(
        count,
        affinity="precomputed",
        assign_labels="discretize",
        eigen_solver="arpack",
        random_state=0,
    ).fit_predict(affinity.cpu().numpy())
    return torch.from_numpy(found).long()


def _nearest(lead: Tensor, size: Tensor) -> Tensor:
    flipped = lead > 0
    near = torch.where(flipped, size, torch.inf).argmin(dim=1)
    return torch.where(flipped.any(dim=1), near, lead.argmax(dim=1))


def _surest(lead: Tensor, size: Tensor) -> Tensor:
    return lead.argmax(dim=1)


def _first(lead: Tensor, size: Tensor) -> Tensor:
    return torch.zeros_like(lead[:, 0], dtype=torch.int64)


PICKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nearest": _nearest,
    "surest": _surest,
    "first": _first,
}
"""Rule → which of E explanations is kept, (B,), by their margins and ‖ε‖₁, both (B, E)."""


_PAPER = (
    "Rodríguez et al., Beyond Trivial Counterfactual Explanations with Diverse Valuable "
    "Explanations, ICCV 2021"
)
_CODES = "explanations × iterations at most, of the decoder"


def _entry(
    summary: str,
    where: str = "as released",
    factory: type[DiVE] = DiVE,
    preset: str | None = "dive",
    **fixed: Any,
) -> Entry:
    return Entry(factory, summary, f"{_PAPER}, {where}", _CODES, fixed, preset=preset)


ENTRIES = {
    "xgem-plus": Entry(
        DiVE,
        "one explanation among the codes of DiVE's autoencoder, held by its distance alone",
        f"{_PAPER}, as released; Joshi et al., xGEMs: Generating Examplars to Explain Black-Box "
        "Models, 2018",
        "iterations at most, of the decoder",
        {"explanations": 1, "lasso": 0.0, "diversity": 0.0},
    ),
    "dive": _entry("diverse explanations among the codes of an autoencoder", iterations=20),
    "dive-100": _entry(
        "DiVE with 100 iterations",
        "as DiME's authors run it (Jeanneret et al., ACCV 2022, Table 1)",
        preset=None,
        iterations=100,
    ),
    "dive-fisher": _entry(
        "DiVE whose explanations each move one cluster of codes", factory=DiVEFisher
    ),
    "dive-fisher-inv": _entry(
        "DiVE whose explanations each move all but one cluster of codes", factory=DiVEFisherInverse
    ),
}
