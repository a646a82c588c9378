"""A callable from outside as a method: any program that turns images into other images.

    explain(images, target, *, classifier, seed) -> images

It gets float32 images in [-1, 1] with shape (B, 3, H, W), the target classes, int64 (B,), the
explained classifier (a module from images to logits) and a number to seed its noise with; gradients
are on. It returns images of the same shape, float in [-1, 1] or uint8, on the same device.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ClassVar

import torch
from torch import Tensor

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Method, Trace
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Prior

Explainer = Callable[..., Tensor]

SIGNATURE = "explain(images, target, *, classifier, seed)"
FARTHEST = 2.0
"""Images in [-1, 1] may overshoot; what reaches beyond this has another range."""


@dataclass(frozen=True)
class Outside(Method):
    """One try with a callable; what it costs is not known. Made by `wrapped`."""

    needs: ClassVar[frozenset[str]] = frozenset()
    weights: ClassVar[frozenset[str]] = frozenset()
    function: ClassVar[Explainer]
    called: ClassVar[str] = "the callable"
    # A stranger's code is asked for one batch at a time, whatever the engine does.
    turn: ClassVar[threading.Lock] = threading.Lock()

    @property
    def steps(self) -> int:
        return 1

    def evaluations(self) -> tuple[int, int]:
        return 0, 0

    def rungs(self, ladder: Sequence[float]) -> tuple[Mapping[str, Any], ...]:
        return ({"lambda_class": ladder[0]},)

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
        """See `Method.explain`. Raises MethodError: the callable fails, or returns no images."""
        start = noise.draw("start", 0).flatten()[:1].cpu().view(torch.int32)
        seed = int(start) & 0x7FFFFFFF
        with self.turn, torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(seed)  # also for callables that do not look at the seed
            try:
                made = self.function(
                    x.clone(), target.clone(), classifier=guidance.classifier, seed=seed
                )
            except Exception as error:  # it is somebody's own code: anything can happen in it
                detail = " ".join(str(error).split())
                raise MethodError(
                    f"{self.called} failed: {type(error).__name__}: {detail}"
                ) from error
        if trace is not None:
            trace.record(0, 0, x, x, None, None)
        x_cf = _images(made, x, self.called)
        return Explanation(x_cf, torch.zeros(len(x), dtype=torch.int64, device=x.device))


def wrapped(function: Explainer, called: str) -> type[Outside]:
    """A class of methods that asks a callable.

    Args:
        function: see this module.
        called: how errors name it.

    Raises:
        MethodError: it does not take what it would be given.
    """
    try:
        inspect.signature(function).bind(None, None, classifier=None, seed=0)
    except (TypeError, ValueError) as error:
        raise MethodError(f"{called} does not take {SIGNATURE}: {error}") from error
    body = {"function": staticmethod(function), "called": called, "__module__": __name__}
    return dataclass(frozen=True)(type("Outside", (Outside,), body))


def guarded(method: type[Method], called: str) -> type[Method]:
    """The same class of methods, whose failures and results of another form are one sentence.

    Args:
        method: from outside the package.
        called: how errors name it.
    """
    inner = method.explain

    @wraps(inner)
    def explain(self: Method, x: Tensor, target: Tensor, **given: Any) -> Explanation:
        try:
            found = inner(self, x, target, **given)
        except (MethodError, CancelledError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # it is somebody's own code: anything can happen in it
            raise MethodError(
                f"{called} failed: {type(error).__name__}: {' '.join(str(error).split())}"
            ) from error
        if not isinstance(found, Explanation):
            raise MethodError(f"{called} returned a {type(found).__name__}; return an Explanation")
        return replace(found, x_cf=_images(found.x_cf, x, called))

    return type(method.__name__, (method,), {"explain": explain, "__module__": method.__module__})


def _images(made: Any, x: Tensor, called: str) -> Tensor:
    """What came back as float images; refuses anything else in one sentence."""
    if not isinstance(made, Tensor):
        raise MethodError(f"{called} returned a {type(made).__name__}; return a tensor of images")
    if made.shape != x.shape:
        raise MethodError(
            f"{called} returned shape {tuple(made.shape)}; return that of the images, "
            f"{tuple(x.shape)}"
        )
    if made.device != x.device:
        raise MethodError(f"{called} returned images on {made.device}; return them on {x.device}")
    found: Tensor = made.detach()
    if found.dtype == torch.uint8:
        return found.to(x.dtype) / 127.5 - 1
    if not found.is_floating_point():
        raise MethodError(f"{called} returned {found.dtype}; return float in [-1, 1], or uint8")
    farthest = float(found.nan_to_num(0.0, 0.0, 0.0).abs().max())
    if farthest > FARTHEST:
        raise MethodError(
            f"{called} returned levels up to {farthest:g}; return float in [-1, 1], or uint8"
        )
    return found.to(x.dtype)
