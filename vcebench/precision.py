"""Precision tiers. Reduced precision covers the networks alone; a step's arithmetic is float32.

exact: float32 with TF32 off. fast: float32 with TF32. bf16, fp16: networks under autocast.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vcebench.config import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Autocast(nn.Module):
    """A network run under autocast; its output is float32 again."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=self.dtype):
            out: Tensor = self.network(x, *rest)
        return out.float()


def in_precision(network: nn.Module, precision: Precision) -> nn.Module:
    """The network as this tier runs it."""
    dtype = _DTYPES.get(precision)
    return network if dtype is None else Autocast(network, dtype)


@contextmanager
def precision_flags(precision: Precision) -> Iterator[None]:
    """Switches of PyTorch that a tier needs; restored at the end.

    cuDNN is kept to deterministic kernels, chosen the same way every time: an image must not depend
    on which kernel happened to be fastest.
    """
    tf32 = precision == "fast"
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark)
    try:
        matmul.allow_tf32, cudnn.allow_tf32 = tf32, tf32
        cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before
