"""Evaluations of a network recorded once for every shape of input, and played again.

At small batches a GPU waits for the hundreds of kernels of a network to be handed to it, one by
one. A CUDA graph hands them over together. Its tensors stay where they are, so inputs are copied
in and results out; the results are the bits of the network itself, which is checked when it is
recorded. A network that cannot be recorded runs as it is, and one line says so.
"""

from __future__ import annotations

import copy
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_WARM_UP = 2
_NEAR = 1e-5
"""How far a replay may be off, relative to the largest, where a network differs from itself."""


@dataclass(frozen=True)
class Played:
    """A recorded piece of work: where its result lies, and what makes it anew."""

    output: Tensor
    play: Callable[[], object]


class Recorder(ABC):
    """Records work on a device; all that it recorded shares memory.

    Attributes:
        turn: counts what was played. What a recording left in the shared memory holds until
            anything else is played.
    """

    def __init__(self) -> None:
        self.turn = 0
        self._books: list[dict[Hashable, Any]] = []

    @abstractmethod
    def record(self, works: Sequence[Callable[[], Tensor]]) -> list[Played]:
        """Pieces of work that belong together, recorded in their order.

        Later pieces may use what earlier ones left. Raises whatever the device refuses.
        """

    def book(self) -> dict[Hashable, Any]:
        """A new dictionary of recordings, which `forget` empties."""
        self._books.append({})
        return self._books[-1]

    def forget(self) -> None:
        """Give up all recordings with their memory; what is still used is recorded again."""
        for book in self._books:
            book.clear()


class CudaGraphs(Recorder):
    """Records CUDA graphs, in one pool of memory."""

    def __init__(self) -> None:
        super().__init__()
        self._pool: Any = torch.cuda.graph_pool_handle()

    def record(self, works: Sequence[Callable[[], Tensor]]) -> list[Played]:
        here = torch.cuda.current_stream()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(here)
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                for work in works:
                    work()
        here.wait_stream(side)
        found = []
        with torch.cuda.stream(here):  # which a capture that fails half-way does not bring back
            for work in works:
                graph = torch.cuda.CUDAGraph()
                # Other threads draw noise meanwhile, into memory they ask the driver for.
                with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                    output = work()
                found.append(Played(output.detach(), graph.replay))
        return found


def recorder_for(device: torch.device) -> Recorder | None:
    """What records on a device; None where launching costs nothing."""
    return CudaGraphs() if device.type == "cuda" else None


class Captured(nn.Module):
    """A network whose evaluations without gradient are recorded; others are made as they are.

    A shape of input is recorded when it comes for the second time, so that what is asked once
    costs nothing. Copies (of those who hook into modules) are copies of the network alone.

    Args:
        network: tensors to a tensor, the same work whatever the numbers are.
        recorder: shared by all networks of a worker.
        name: for people.
    """

    def __init__(self, network: nn.Module, recorder: Recorder, name: str) -> None:
        super().__init__()
        self.network = network
        self._recorder = recorder
        self._name = name
        self._book = recorder.book()
        self._asked = recorder.book()

    def forward(self, *inputs: Tensor) -> Tensor:
        recording = None if _differentiated(inputs) else self._recording(_Evaluation, inputs)
        out: Tensor = self.network(*inputs) if recording is None else recording.evaluate(*inputs)
        return out

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        return copy.deepcopy(self.network, memo)

    def _recording(self, kind: type[_Evaluation], inputs: tuple[Tensor, ...]) -> Any:
        """The recording for inputs like these; None if there is none, or not yet."""
        key = (kind, *((x.shape, x.stride(), x.dtype, x.device) for x in inputs))
        if key not in self._asked:
            self._asked[key] = True
            return None
        if key not in self._book:
            self._book[key] = self._record(kind, inputs)
        return self._book[key]

    def _record(self, kind: type[_Evaluation], inputs: tuple[Tensor, ...]) -> Any:
        wanted, again = (kind.of(self.network, inputs) for _ in range(2))
        try:
            recording = kind(self.network, inputs, self._recorder)
            found = recording.played(inputs)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # networks of anybody's, and a driver's many ways to refuse
            reason = str(error).partition("\n")[0][:200]
        else:
            if all(_same(*answers) for answers in zip(found, wanted, again, strict=True)):
                return recording
            reason = "a replay gave other numbers"
        print(f"the {self._name} runs without CUDA graphs, slower: {reason}", file=sys.stderr)
        return None


class CapturedGuide(Captured):
    """A network whose gradients with respect to its images are recorded as well."""

    def forward(self, *inputs: Tensor) -> Tensor:
        if not _differentiated(inputs):
            return super().forward(*inputs)
        recording = self._recording(_Gradient, inputs)
        if recording is None:
            return super().forward(*inputs)
        out: Tensor = _Replayed.apply(*inputs, recording)
        return out


class _Evaluation:
    """An evaluation without gradient."""

    def __init__(self, network: nn.Module, inputs: tuple[Tensor, ...], recorder: Recorder) -> None:
        self._inputs = [x.detach().clone() for x in inputs]
        self._recorder = recorder
        with torch.no_grad():
            (self._forward,) = recorder.record([lambda: network(*self._inputs)])

    @staticmethod
    def of(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """What `played` must give, from the network itself."""
        with torch.no_grad():
            return [network(*inputs)]

    def played(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """All results for these inputs, from the recording."""
        return [self.evaluate(*inputs)]

    @torch.no_grad()
    def evaluate(self, *inputs: Tensor) -> Tensor:
        """The network's output."""
        for kept, x in zip(self._inputs, inputs, strict=True):
            kept.copy_(x)
        return self._play(self._forward)

    def _play(self, piece: Played) -> Tensor:
        piece.play()
        self._recorder.turn += 1
        return piece.output.clone()


class _Gradient(_Evaluation):
    """An evaluation whose backward pass will be asked for: two recordings."""

    def __init__(self, network: nn.Module, inputs: tuple[Tensor, ...], recorder: Recorder) -> None:
        (x,) = inputs
        image = x.detach().clone()
        self._inputs = [image]
        self._recorder = recorder
        self._leaf = self._out = self._above = image

        def forward() -> Tensor:
            # Autograd binds a leaf to the stream of its first use: every evaluation has its own,
            # in the same memory, so that none meets what a warm-up on another stream left.
            self._leaf = image.detach().requires_grad_()
            self._out = network(self._leaf)
            return self._out

        def backward() -> Tensor:
            return torch.autograd.grad(self._out, self._leaf, self._above)[0]

        with torch.enable_grad():
            self._above = torch.ones_like(forward()).detach()
            self._forward, self._backward = recorder.record([forward, backward])

    @staticmethod
    def of(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        image = inputs[0].detach().clone().requires_grad_()
        with torch.enable_grad():
            out = network(image)
            return [out.detach(), torch.autograd.grad(out, image, torch.ones_like(out))[0]]

    def played(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        out = self.evaluate(*inputs)
        return [out, self.gradient(inputs[0], torch.ones_like(out), self._recorder.turn)]

    @torch.no_grad()
    def gradient(self, x: Tensor, above: Tensor, turn: int) -> Tensor:
        """The vector-Jacobian product at x, whose evaluation was played as number `turn`."""
        if turn != self._recorder.turn:  # what the evaluation left is overwritten by now
            self.evaluate(x)
        self._above.copy_(above)
        return self._play(self._backward)


class _Replayed(torch.autograd.Function):
    """A recorded evaluation in the autograd graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, recording: _Gradient) -> Tensor:
        out = recording.evaluate(x)
        ctx.save_for_backward(x)
        ctx.recording, ctx.turn = recording, recording._recorder.turn
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return ctx.recording.gradient(x, above, ctx.turn), None


def _differentiated(inputs: Sequence[Tensor]) -> bool:
    return torch.is_grad_enabled() and any(x.requires_grad for x in inputs)


def _same(found: Tensor, wanted: Tensor, again: Tensor) -> bool:
    """Whether a replay gave the bits of the network; near ones if the network gives no others."""
    if torch.equal(found, wanted):
        return True
    scale = float(wanted.abs().max())
    near = float((found - wanted).abs().max()) <= _NEAR * scale
    return near and not torch.equal(again, wanted)
