"""Precision tiers. Reduced precision covers the networks alone; a step's arithmetic is float32.

exact: float32 with TF32 off. fast: float32 with TF32. bf16, fp16: networks under autocast. On a GPU
the tiers below exact also fuse norms (`vcebench.devices.norms`).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from vcebench.devices.flags import precision_flags as precision_flags  # they belong to a tier
from vcebench.devices.norms import fused
from vcebench.settings.config import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
HALF = frozenset(_DTYPES)
"""Tiers of 16 bits; a method that goes back through its prior's network has none of them."""


_MATRICES = (nn.Linear, nn.modules.conv._ConvNd)


class _FloatNorm(nn.GroupNorm):
    """Group norm in float32, as autocast has it on CUDA; on CPUs its bfloat16 gradient is slow."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float())


class Autocast(nn.Module):
    """A network run under autocast; its output is float32 again.

    The weights of its matrix products are kept in the reduced type, as autocast would cast them at
    every call; all others are shared with the network, which stays as it is.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = _twin(network, dtype)
        self.dtype = dtype

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=self.dtype):
            out: Tensor = self.network(x, *rest)
        return out.float()


def in_precision(network: nn.Module, precision: Precision) -> nn.Module:
    """The network as this tier runs it where it lies; the given one stays as it is."""
    dtype = _DTYPES.get(precision)
    tier = network if dtype is None else Autocast(network, dtype)
    return fused(tier) if precision != "exact" and not _on_cpu(network) else tier


def layout(device: torch.device, precision: Precision) -> torch.memory_format:
    """Memory format of a prior's weights: what was faster where both were measured.

    CelebA's U-Net at batch 50, channels last and not: on an H100 337 and 315 ms in exact; in fast
    124 ms, and 95 for the same network of its authors, who do not have channels last. Chosen by
    table and not on the spot: an image must not depend on which of two happened to be faster.
    """
    if device.type == "cuda" and precision in ("exact", "fast"):
        return torch.contiguous_format
    return torch.channels_last


def _on_cpu(network: nn.Module) -> bool:
    return all(tensor.device.type == "cpu" for tensor in network.parameters())


def _twin(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of the network for autocast; on a CPU only what is cast takes new memory.

    On a GPU nothing is shared, so that the network itself can leave the device meanwhile.
    """
    kept = [*network.parameters(), *network.buffers()] if _on_cpu(network) else []
    known = {id(tensor): tensor for tensor in kept}
    for module in network.modules():
        if isinstance(module, _MATRICES):
            for weight in module.parameters(recurse=False):
                known[id(weight)] = nn.Parameter(weight.detach().to(dtype), requires_grad=False)
    twin = copy.deepcopy(network, known)  # what the memo knows is taken as its copy
    for module in twin.modules():
        if type(module) is nn.GroupNorm:
            module.__class__ = _FloatNorm
    return twin
