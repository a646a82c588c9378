"""bfloat16 where the processor computes in it."""

from __future__ import annotations

from functools import cache

import torch


def half(wanted: bool = True) -> torch.autocast:
    """Autocast to bfloat16 on a CPU that has instructions for it, else no change of precision.

    Without them PyTorch emulates bfloat16, which takes many times as long as float32.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted and _native())


@cache
def _native() -> bool:
    # Older builds of PyTorch do not tell; float32 is right everywhere, if slower.
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
