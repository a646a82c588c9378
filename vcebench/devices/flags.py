"""Switches of PyTorch that a precision tier needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def precision_flags(precision: str) -> Iterator[None]:
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
