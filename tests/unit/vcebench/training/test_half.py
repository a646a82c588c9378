"""bfloat16 where the processor computes in it."""

from __future__ import annotations

import pytest
import torch

from vcebench.training import half as module
from vcebench.training.half import half


@pytest.fixture
def processor(monkeypatch):
    """A function that makes PyTorch see a processor with these instructions."""

    def pose(**able: bool) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
        module._native.cache_clear()

    yield pose
    module._native.cache_clear()


def dtype_under(context: torch.autocast) -> torch.dtype:
    with context:
        return torch.nn.functional.linear(torch.ones(1, 2), torch.ones(3, 2)).dtype


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16"])
def test_bfloat16_where_there_are_instructions_for_it(processor, instruction) -> None:
    processor(avx2=True, **{instruction: True})
    assert dtype_under(half()) == torch.bfloat16
    assert dtype_under(half(False)) == torch.float32


def test_float32_where_bfloat16_would_be_emulated(processor) -> None:
    processor(avx2=True, avx512_bf16=False)
    assert dtype_under(half()) == torch.float32


def test_float32_where_pytorch_does_not_tell(processor, monkeypatch) -> None:
    processor()
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert dtype_under(half()) == torch.float32
