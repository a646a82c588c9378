"""A recorder for a CPU that is as unforgiving as CUDA graphs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from vcebench.devices.capture import Played, Recorder


class Overwriting(Recorder):
    """Plays work by doing it again into the same tensors; all others it recorded turn to NaN.

    Attributes:
        recorded, plays: how often something was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recorded = 0
        self.plays = 0
        self._outputs: list[Tensor] = []

    def record(self, works: Sequence[Callable[[], Tensor]]) -> list[Played]:
        self.recorded += len(works)
        outputs = [work().detach().clone() for work in works]
        self._outputs += outputs

        def player(work: Callable[[], Tensor], output: Tensor) -> Callable[[], None]:
            gradients = torch.is_grad_enabled()

            def play() -> None:
                self.plays += 1
                with torch.set_grad_enabled(gradients):
                    made = work().detach().clone()
                for other in self._outputs:
                    other.fill_(torch.nan)
                output.copy_(made)

            return play

        return [Played(o, player(w, o)) for w, o in zip(works, outputs, strict=True)]


@pytest.fixture
def recorder() -> Overwriting:
    return Overwriting()
