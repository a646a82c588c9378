"""What the harness sees of a method: its settings, what it needs, what it costs, and `explain`."""

from __future__ import annotations

import dataclasses
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance, TargetClassifier
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.space import Autoencoder, SemanticAutoencoder

WEIGHTS = frozenset(
    {"lambda_class", "lambda_perceptual", "lambda_l1", "use_logits", "class_factor"}
)
"""Weights of the joint loss that a person can choose."""


class Trace(Protocol):
    """Receives what a step worked with (Figure 3 of MaskDiME is drawn from it).

    Attributes:
        keeps: the numbers are looked at, so that pictures nobody else needs are made for it.
    """

    @property
    def keeps(self) -> bool: ...

    def record(
        self,
        step: int,
        i: int,
        z: Tensor,
        x_t: Tensor,
        mask_z: Tensor | None,
        mask_x: Tensor | None,
    ) -> None:
        """Called once a step of a walk.

        Args:
            step: number of the step, 0 for the first; a second walk numbers on.
            i: respaced index, or steps that are left after this one; counting down to 0.
            z: where the walk stands at the beginning of the step, in its own space, with shape
                (B, …); of one shape within a walk.
            x_t: the images the gradient is taken at, in [-1, 1] with shape (B, C, H, W).
            mask_z, mask_x: masks in force in this step at the size of images, (B, 1, H, W)
                boolean, or None.
        """
        ...


@dataclass(frozen=True)
class Explanation:
    """Counterfactuals and what they cost.

    Attributes:
        x_cf: counterfactuals with shape (B, C, H, W), in [-1, 1] but neither clipped nor quantised.
        nfe: evaluations of the prior each image needed, int64 with shape (B,).
        mask_z, mask_x: last masks, boolean with shape (B, 1, H, W); None if the method has none.
        backward: vector-Jacobian products through the prior of each image, int64 with shape (B,);
            zeros unless given.
        region: where the images could change, boolean with shape (B, 1, H, W); None if everywhere.
    """

    x_cf: Tensor
    nfe: Tensor
    mask_z: Tensor | None = None
    mask_x: Tensor | None = None
    backward: Tensor = dataclasses.field(default=None)  # type: ignore[assignment]
    region: Tensor | None = None

    def __post_init__(self) -> None:
        if self.backward is None:
            object.__setattr__(self, "backward", torch.zeros_like(self.nfe))


@dataclass(frozen=True)
class Extras:
    """What belongs to the images and not to the method.

    Attributes:
        region: pixels that may change, boolean with shape (B, 1, H, W); None means everywhere.
        segments: what is where in the images, uint8 with shape (B, H, W); None if nobody knows.
        autoencoder: network that leads to codes and back, for methods that move codes.
        fisher: how strongly the classifier depends on each pair of a code's numbers, (c, c).
    """

    region: Tensor | None = None
    segments: Tensor | None = None
    autoencoder: Autoencoder | SemanticAutoencoder | None = None
    fisher: Tensor | None = None


NOTHING = Extras()


def setting(default: Any, help: str, **bounds: Any) -> Any:
    """A dataclass field that is a user's setting: default, one line of help, bounds.

    Bounds: `low`/`high` (inclusive), `above` (exclusive), `odd`.
    """
    return dataclasses.field(default=default, metadata={"help": help, **bounds})


@dataclass(frozen=True)
class Method(ABC):
    """A counterfactual method: its settings as fields, its choices as methods.

    Attributes:
        needs: roles of networks it asks for besides the classifier; a run loads no others.
        weights: weights of the joint loss that it reads; others cannot be given.
        regional: it can be told where images may change (`Extras.region`) and keeps to it.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"prior", "perceptual"})
    weights: ClassVar[frozenset[str]] = WEIGHTS
    regional: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))

    def settings(self) -> dict[str, Any]:
        """The user's settings by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata}

    @abstractmethod
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
        """Counterfactuals for a batch.

        Args:
            x: input images in [-1, 1], float32 with shape (B, C, H, W).
            target: target classes, int64 with shape (B,).
            prior: the diffusion prior the method walks on; None if it needs none.
            guidance: joint loss with its weights; its per-image tensors have shape (B,).
            noise: source of noise for these images.
            trace: told of every step, if given.
            extras: what else belongs to these images.

        Raises:
            MethodError: the prior is missing, or a setting does not fit it; see `check`.
        """

    @property
    @abstractmethod
    def steps(self) -> int:
        """How often a try tells its trace of a step."""

    @abstractmethod
    def evaluations(self) -> tuple[int, int]:
        """Evaluations of the prior and backward passes through it, per image and try.

        Images given to the network are counted, at the most if there are not always as many; what
        a backward pass computes again is not.
        """

    def rungs(self, ladder: Sequence[float]) -> tuple[Mapping[str, Any], ...]:
        """Settings of the tries in turn: those of λ_c, or what takes their place.

        A method that reads no λ_c makes one try.

        Args:
            ladder: the λ_c asked for.
        """
        if "lambda_class" not in self.weights:
            return ({},)
        return tuple({"lambda_class": rung} for rung in ladder)

    def check(self, prior: Prior | None, shape: tuple[int, ...]) -> None:
        """Refuse what the method cannot do, before anything is made.

        Args:
            prior: see `explain`.
            shape: (C, H, W) of the images.

        Raises:
            MethodError: one sentence that says what to change.
        """
        return

    def check_classifier(self, classifier: TargetClassifier) -> None:
        """Refuse a classifier that the method cannot look into, likewise."""
        return


def given(prior: Prior | None) -> Prior:
    """The prior, for methods that cannot do without. Raises MethodError if there is none."""
    if prior is None:
        raise MethodError("this method walks on a diffusion prior, and there is none; give one")
    return prior


def strided(prior: Prior | None, chain: int, offset: int) -> Prior:
    """The prior with the evenly strided steps that a method's setting `chain` says.

    Raises MethodError: there is no prior, or its full chain has no such steps.
    """
    there = given(prior)
    try:
        return there.strided(chain, offset)
    except ValueError as error:
        raise MethodError(f"chain is {chain}: {error}") from error


_KINDS = {"int": numbers.Integral, "float": numbers.Real, "bool": bool, "str": str}
_WANTED = {"bool": "true or false", "str": "a word"}


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    """Refuse a setting of another type or outside its bounds, in one sentence."""
    rules = field.metadata
    if not rules:
        return
    kind, optional = _kind(field)
    if kind is None:  # a method from outside may have settings of its own kinds
        kind = "float" if isinstance(value, float | int) and type(value) is not bool else None
    if kind is None or (value is None and optional):
        return
    numeric = kind in ("int", "float")
    fits = isinstance(value, _KINDS[kind]) and not (numeric and isinstance(value, bool))
    if not fits or (numeric and not _within(rules, value)):
        wanted = _WANTED.get(kind) or _wanted(rules)
        raise MethodError(f"{field.name.replace('_', '-')} is {value!r}; use {wanted}")


def _kind(field: dataclasses.Field[Any]) -> tuple[str | None, bool]:
    """What a setting is, None if unknown; and whether it may be None."""
    written = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "")
    kind, _, other = (part.strip() for part in written.partition("|"))
    return (kind if kind in _KINDS else None), other == "None"


def _within(rules: Mapping[str, Any], value: float) -> bool:
    low, high = rules.get("low", -math.inf), rules.get("high", math.inf)
    above = rules.get("above", -math.inf)
    if not math.isfinite(value) or not low <= value <= high or value <= above:
        return False
    return not rules.get("odd") or value % 2 == 1


def _wanted(rules: Mapping[str, Any]) -> str:
    """The numbers that a setting may have, in words."""
    if rules.get("odd"):
        return "an odd whole number"
    if "high" in rules:
        above = f"a number in ({rules['above']:g}, {rules['high']:g}]" if "above" in rules else ""
        return above or f"{rules['low']} … {rules['high']}"
    if "above" in rules:
        return f"a number above {rules['above']:g}"
    low = rules.get("low")
    if low is None:
        return "a finite number"
    return f"a whole number from {low} on" if isinstance(low, int) else f"at least {low:g}"
