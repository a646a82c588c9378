"""A worker with clocks around its networks, its method and its noise; what it makes is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace

from torch import Tensor, nn

from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import NOTHING, Explanation, Extras, Method, Trace
from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import Prior
from vcebench.models.classifier import over
from vcebench.running.clock import Clock, TimedNetwork
from vcebench.running.engines.base import Done
from vcebench.running.engines.local import LocalEngine
from vcebench.running.tries import Outcome, Try, of_method
from vcebench.running.worker import Worker

WAITING = "waiting"
STEP, FILES = "masks and update", "input and output"
PHASES = ("prior", "classifier", "perceptual", STEP, "noise", "judging", FILES)
"""classifier (the robust one too) and perceptual: of the guidance, forward and backward. judging:
the classifier's decisions on inputs and stored images. input and output: all around the method."""


@dataclass(frozen=True)
class _TimedMethod(Method):
    """A method whose own arithmetic, networks and noise apart, is a phase."""

    inner: Method
    clock: Clock

    @property
    def steps(self) -> int:
        return self.inner.steps

    def evaluations(self) -> tuple[int, int]:
        return self.inner.evaluations()

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
        with self.clock.phase(STEP):
            return self.inner.explain(
                x,
                target,
                prior=prior,
                guidance=guidance,
                noise=noise,
                trace=trace,
                extras=extras,
            )


@dataclass(frozen=True)
class _TimedNoise:
    inner: Noise
    clock: Clock

    def draw(
        self,
        purpose: str,
        step: int,
        inner_step: int = 0,
        pass_index: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        with self.clock.phase("noise"):
            return self.inner.draw(purpose, step, inner_step, pass_index, shape)


@dataclass(frozen=True)
class _TimedWorker(Worker):
    clock: Clock = field(kw_only=True)

    def explain(
        self,
        tries: Sequence[Try],
        stop: threading.Event | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Outcome]:
        with self.clock.phase(FILES):
            return super().explain(tries, stop, on_step)

    def _method(self, tries: Sequence[Try]) -> Method:
        others, timed = of_method(tries[0].settings), self.method
        if not others or not isinstance(timed, _TimedMethod):
            return timed
        return replace(timed, inner=replace(timed.inner, **others))

    @contextmanager
    def _noise(self, padded: Sequence[Try], x: Tensor) -> Iterator[Noise]:
        with super()._noise(padded, x) as noise:
            yield _TimedNoise(noise, self.clock)


def timed(worker: Worker, clock: Clock) -> Worker:
    """The same worker with clocks around its networks, its method and its noise."""
    values = {f.name: getattr(worker, f.name) for f in fields(Worker)}
    judge, guide, phi = worker.classifier, worker.guide, worker.perceptual
    prior, robust = worker.prior, worker.robust
    if isinstance(phi, nn.Module):
        phi = TimedNetwork(phi, clock, "perceptual")
    values |= {
        "method": _TimedMethod(worker.method, clock),
        "prior": prior and prior.over(TimedNetwork(prior.network, clock, "prior")),
        "classifier": over(judge, TimedNetwork(judge.network, clock, "judging")),
        "guide": over(guide, TimedNetwork(guide.network, clock, "classifier")),
        "robust": robust and over(robust, TimedNetwork(robust.network, clock, "classifier")),
        "perceptual": phi,
    }
    return _TimedWorker(**values, clock=clock)


class TimedEngine(LocalEngine):
    """The local engine with clocks around its worker.

    While the main thread waits for it, it does neither input nor output.
    """

    def __init__(
        self, worker: Worker, clock: Clock, threads: int | None, on_step: Callable[[int], None]
    ) -> None:
        super().__init__(timed(worker, clock), threads, on_step)
        self._clock = clock

    def collect(self) -> Done:
        with self._clock.phase(WAITING):
            return super().collect()
