"""Group norm with what follows it in a U-Net: scale, shift and activation.

On a CPU these are PyTorch's operations one after the other. On a GPU every one of them is a pass
over memory, and the passes take longer than the arithmetic: there the same formula is folded and
compiled into two passes, with statistics in float32 and tensors of the network's own type.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 32

_NEAR = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far a kernel may be from the plain operations, relative to the largest value."""


class Norm(nn.GroupNorm):
    """Group norm over 32 groups, in float32 whatever the precision around it."""

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        # CPU kernels sum and scale bfloat16 in float32; below 1,024 pixels they are slow at it.
        if x.device.type == "cpu" and x.shape[2:].numel() >= 1024:
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)

    def activated(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """SiLU of norm(x)·(1 + scale) + shift; scale and shift have shape (B, C, 1, 1) if given."""
        h: Tensor = self(x)
        if scale is not None and shift is not None:
            h = h.mul_(1 + scale).add_(shift) if owned(h) else h * (1 + scale) + shift
        return F.silu(h, inplace=not torch.is_grad_enabled())


def activated(norm: nn.Module, x: Tensor, *scale_and_shift: Tensor) -> Tensor:
    """See `Norm.activated`; for norms that a container knows as modules only."""
    assert isinstance(norm, Norm)
    return norm.activated(x, *scale_and_shift)


def owned(x: Tensor) -> bool:
    """Whether sums and products may overwrite our tensor x: faster, and the same bits."""
    # Not if autograd may want it; and in bfloat16 CPUs are slower in place.
    return x.dtype is torch.float32 and not torch.is_grad_enabled()


Formula = Callable[..., Tensor]
"""`normed`, `normed_silu` or `scaled_silu`."""

_VARIANTS = 64
"""Of one formula, in a process that goes through all tiers; one tier makes about five."""


def folded(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`Norm` as one factor and one offset for every channel of every image.

    Statistics are taken by channel and joined by group (the variance of a group is the mean of its
    channels' variances and the variance of their means), so that tensors are read as they lie.

    Returns:
        Two float32 tensors of shape (B, C, 1, 1).
    """
    b, c = x.shape[:2]
    variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
    means = mean.view(b, GROUPS, -1)
    centre = means.mean(2, keepdim=True)
    spread = (variance.view(b, GROUPS, -1) + (means - centre).square()).mean(2, keepdim=True)
    factor = torch.rsqrt(spread + eps) * weight.float().view(GROUPS, -1)
    offset = (bias.float().view(GROUPS, -1) - centre * factor).view(b, c, 1, 1)
    return factor.view(b, c, 1, 1), offset


# Three functions and no arguments that say which: the compiler counts the variants of a function,
# and runs it slowly as it is once there are too many.


def normed(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """The norm alone; all formulas give the type and the layout of x."""
    factor, offset = folded(x, weight, bias, eps)
    return (x.float() * factor + offset).to(x.dtype)


def normed_silu(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """SiLU of the norm."""
    factor, offset = folded(x, weight, bias, eps)
    return F.silu(x.float() * factor + offset).to(x.dtype)


def scaled_silu(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, scale: Tensor, shift: Tensor
) -> Tensor:
    """SiLU of norm(x)·(1 + scale) + shift; scale and shift have shape (B, C, 1, 1)."""
    factor, offset = folded(x, weight, bias, eps)
    grown = 1 + scale.float()
    factor, offset = factor * grown, offset * grown + shift.float()
    return F.silu(x.float() * factor + offset).to(x.dtype)


def compiled(formula: Formula) -> Formula:
    """The formula for tensors of any size; it raises where the compiler would fall back to it."""
    made: Formula = torch.compile(formula, dynamic=True, fullgraph=True)
    return made


class Kernel:
    """The formulas, each compiled when it is first asked for; shared by all norms of a network.

    What one gives for a shape is compared with the plain operations the first time. If one cannot
    be made, or gives other numbers, the plain ones go on from there and one line says so.

    Args:
        compile: makes the compiled formula.
    """

    def __init__(self, compile: Callable[[Formula], Formula] = compiled) -> None:
        self._compile = compile
        self._compiled: dict[Formula, Formula] = {}
        self._compared: set[tuple[object, ...]] = set()
        self.usable = True

    def __call__(self, formula: Formula, norm: Norm, x: Tensor, *pair: Tensor) -> Tensor | None:
        """A formula's value at x, with scale and shift if it takes them; None if not to be used."""
        if not self.usable or torch.is_grad_enabled():
            return None
        key = (formula, x.shape, x.stride(), x.dtype)
        new = key not in self._compared
        try:
            with _many_variants() if new else nullcontext():
                found = self._of(formula)(x, *_plain_tensors(norm), norm.eps, *pair)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # compilers fail in many ways, a missing one among them
            self._give_up(str(error).partition("\n")[0][:200])
            return None
        if new:
            self._compared.add(key)
            plain = _plain(norm, x[:1], *(t[:1] for t in pair), activate=formula is not normed)
            if float((found[:1] - plain).abs().max()) > _NEAR[x.dtype] * float(plain.abs().max()):
                self._give_up("it gave other numbers")
                return None
        return found

    def _of(self, formula: Formula) -> Formula:
        if formula not in self._compiled:
            self._compiled[formula] = self._compile(formula)
        return self._compiled[formula]

    def _give_up(self, reason: str) -> None:
        self.usable = False
        print(f"the prior's norms run without a fused kernel, slower: {reason}", file=sys.stderr)


class FusedNorm(Norm):
    """A `Norm` by a kernel where no gradient is wanted."""

    kernel: Kernel

    def forward(self, x: Tensor) -> Tensor:
        found = self.kernel(normed, self, x)
        return super().forward(x) if found is None else found

    def activated(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        pair = () if scale is None or shift is None else (scale, shift)
        found = self.kernel(scaled_silu if pair else normed_silu, self, x, *pair)
        return _plain(self, x, *pair, activate=True) if found is None else found


def fused(network: nn.Module, kernel: Kernel | None = None) -> nn.Module:
    """The network with kernels for its norms; weights are shared, the given one stays as it is.

    A network without such norms is returned as it is.
    """
    if not any(type(module) is Norm for module in network.modules()):
        return network
    kernel = kernel or Kernel()
    kept = [*network.parameters(), *network.buffers()]
    twin = copy.deepcopy(network, {id(tensor): tensor for tensor in kept})
    for module in twin.modules():
        if type(module) is Norm:
            module.__class__ = FusedNorm
            module.kernel = kernel  # type: ignore[assignment]
    return twin


def _plain(norm: Norm, x: Tensor, *pair: Tensor, activate: bool) -> Tensor:
    h = Norm.forward(norm, x)
    if pair:
        scale, shift = pair
        h = h * (1 + scale) + shift
    return F.silu(h) if activate else h


def _plain_tensors(norm: Norm) -> tuple[Tensor, Tensor]:
    # Compilers take a parameter's size for a constant, which is a variant for every width.
    return norm.weight.detach(), norm.bias.detach()


def _many_variants() -> AbstractContextManager[None]:
    """While a formula may be compiled: room for the variants of all tiers of a process."""
    from torch._dynamo import config  # which takes a second, and no CPU needs it

    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
    patched: AbstractContextManager[None] = config.patch(name, _VARIANTS)
    return patched
