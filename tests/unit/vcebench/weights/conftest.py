"""State dicts with exactly the keys and shapes of a published checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest
import torch
from torch import Tensor

from vcebench.weights.cards import CARDS


def state_like(id: str, seed: int = 0) -> dict[str, Tensor]:
    """Small random values; variances are 1, counters 0. One random block is repeated: it is fast"""
    block = 0.03 * torch.randn(4999, generator=torch.Generator().manual_seed(seed))
    state = {}
    for key, shape in CARDS[id].shapes().items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros(shape, dtype=torch.int64)
        elif key.endswith("running_var"):
            state[key] = torch.ones(shape)
        else:
            n = prod(shape)
            state[key] = block.repeat(n // len(block) + 1)[:n].view(shape).clone()
    return state


@pytest.fixture
def published_state() -> Callable[..., dict[str, Tensor]]:
    return state_like
