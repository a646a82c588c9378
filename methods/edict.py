"""TiME: a picture is inverted under words for its class and drawn again under those for another.

Text-to-Image Models for Counterfactual Explanations: a Black-Box Approach (Jeanneret et al., WACV
2024), as its authors released it. The words hold tokens that were learned from the classifier's
decisions; the classifier itself is not asked here, and nothing is drawn. The source's words are
those of the class that the classifier decided for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import (
    NOTHING,
    Explanation,
    Extras,
    Method,
    Trace,
    setting,
    strided,
)
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import ConditionalPrior, Prior
from vcebench.methods.core.transport import Edict, Epsilon, Moves, Plain, State, transport

OFFSET = 1
"""Timestep of the chain's index 0."""


@dataclass(frozen=True)
class TiME(Method):
    """*TiME*: EDICT up under the source's words against the target's, down the other way round.

    ε = ε_- + g·(ε_+ - ε_-), ε_+ under the words and ε_- under those of the other class; n steps up
    and n down of a chain of N, with two copies: 8n evaluations. The tries are of growing n, each
    from the input again. Of several lengths, one `explain` alone walks the longest.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"latent-text", "tokens"})
    weights: ClassVar[frozenset[str]] = frozenset()

    lengths: str = setting("15,20,25,35", "n of the tries in turn, steps up and down, with commas")
    chain: int = setting(50, "N, steps kept of the prior's full chain", low=2)
    strength: float = setting(4.0, "g, weight of the words against those of the other class")
    mix: float = setting(
        0.93, "p, share that a copy keeps of itself in mixing", above=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(word.isdecimal() and int(word) > 0 for word in self.lengths.split(",")):
            raise MethodError(
                f"lengths is {self.lengths!r}; use whole numbers with commas, such as 15,20,25,35"
            )

    @property
    def length(self) -> int:
        """n of this try."""
        return max(int(word) for word in self.lengths.split(","))

    @property
    def longest(self) -> int:
        """The largest n that a chain has room for."""
        return self.chain

    @property
    def steps(self) -> int:
        return 2 * self.length

    def evaluations(self) -> tuple[int, int]:
        return 8 * self.length, 0

    def rungs(self, ladder: Sequence[float]) -> tuple[Mapping[str, Any], ...]:
        return tuple({"lengths": word} for word in self.lengths.split(","))

    def check(self, prior: Prior | None, shape: tuple[int, ...]) -> None:
        strided(prior, self.chain, OFFSET)
        if self.length > self.longest:
            raise MethodError(
                f"lengths has {self.length}, but {self.chain} steps are kept of the chain; use "
                f"1 … {self.longest}"
            )

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
        self.check(prior, tuple(x.shape[1:]))
        if guidance.source is None or not isinstance(prior, ConditionalPrior):
            raise MethodError(
                "this method needs a conditional prior and the classes that images are predicted "
                "as; give a ConditionalPrior, and source=… in Guidance"
            )
        bound = prior.strided(self.chain, OFFSET).bind(target, guidance.source)
        z = self.walk(bound, bound.space.encode(x), noise, trace)
        cost = torch.full((len(x),), self.evaluations()[0], device=x.device)
        return Explanation(bound.space.decode(z), cost)

    def walk(self, prior: ConditionalPrior, z: Tensor, noise: Noise, trace: Trace | None) -> Tensor:
        """The counterfactual's latent, from the input's."""
        down = [(i, i - 1) for i in reversed(range(self.length))]
        state = self.inverted(prior, z, down, trace)
        epsilon = self.seen(prior, "target", "source")
        coupling = Edict(self.mix)
        state = transport(prior, state, down, epsilon, coupling, trace=trace, first=self.length)
        return state[0]

    def inverted(
        self, prior: ConditionalPrior, z: Tensor, down: Moves, trace: Trace | None
    ) -> State:
        """Both copies where the walk down begins."""
        epsilon = self.seen(prior, "source", "target")
        return transport(prior, (z, z), down[::-1], epsilon, Edict(self.mix).inverse, trace=trace)

    def seen(self, prior: ConditionalPrior, words: str, against: str) -> Epsilon:
        """Noise under the words of a class, against those of the other."""

        def epsilon(z: Tensor, i: int) -> Tensor:
            other, own = prior.noises(z, i, against, words)
            return other + self.strength * (own - other)

        return epsilon


@dataclass(frozen=True)
class ReleasedTiME(TiME):
    """*TiME as its pinned library computes*: up is one stride apart from down.

    A step up begins at the index where its noise is seen, a step down ends below it; so the input
    does not come back even under the same words.
    """

    @property
    def longest(self) -> int:
        return self.chain - 1

    def inverted(
        self, prior: ConditionalPrior, z: Tensor, down: Moves, trace: Trace | None
    ) -> State:
        seen = self.seen(prior, "source", "target")
        up = [(i + 1, to + 1) for i, to in reversed(down)]

        def epsilon(z: Tensor, i: int) -> Tensor:
            return seen(z, i - 1)

        return transport(prior, (z, z), up, epsilon, Edict(self.mix).inverse, trace=trace)


@dataclass(frozen=True)
class TiMENaive(TiME):
    """*TiME without inversion*: the latent is noised to index n, then goes down by plain DDIM.

    The words of the other class are asked about the noised latent in every step, as released: its
    program does not hand them the one that moves. 2n evaluations.
    """

    mix: float = 0.93  # one copy is mixed with nothing, hence no setting

    @property
    def longest(self) -> int:
        return self.chain - 1

    @property
    def steps(self) -> int:
        return self.length

    def evaluations(self) -> tuple[int, int]:
        return 2 * self.length, 0

    def walk(self, prior: ConditionalPrior, z: Tensor, noise: Noise, trace: Trace | None) -> Tensor:
        drawn = noise.draw("start", 0, shape=tuple(z.shape[1:]))
        start = prior.schedule.q_sample(z, self.length, drawn)

        def epsilon(z: Tensor, i: int) -> Tensor:
            (other,), (own,) = prior.noises(start, i, "source"), prior.noises(z, i, "target")
            return other + self.strength * (own - other)

        down = [(i, i - 1) for i in reversed(range(self.length))]
        return transport(prior, (start,), down, epsilon, Plain(), trace=trace)[0]


_PAPER = (
    "Jeanneret et al., Text-to-Image Models for Counterfactual Explanations: a Black-Box Approach, "
    "WACV 2024"
)

ENTRIES = {
    "time": Entry(
        TiME,
        "exact inversion under learned words for a class, then those of the other; a black box",
        f"{_PAPER}, as released, with an exact inversion",
        "8n, of the conditional network",
    ),
    "time-released": Entry(
        ReleasedTiME,
        "TiME as its pinned library inverts: not exactly",
        f"{_PAPER}, as released",
        "8n, of the conditional network",
        preset="time",
    ),
    "time-naive": Entry(
        TiMENaive,
        "TiME that begins from noise instead of an inversion",
        f"{_PAPER}, as released",
        "2n, of the conditional network",
        preset="time",
    ),
}
