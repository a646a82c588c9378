"""Release compatibility, batch-dependent: options of the released MaskDiME program.

They reproduce its argument parser's defaults and nothing else; no published number used them.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


def per_channel(gradient: Tensor) -> Tensor:
    """Absolute gradient (B, C, H, W), each channel on its own: masks get C channels."""
    return gradient.abs()


@dataclass(frozen=True)
class SigmaClip:
    """Clamp a gradient to its mean ± `sigmas` standard deviations over the *whole batch*.

    An image's result then depends on the others in its batch.
    """

    sigmas: float = 3.0

    def __call__(self, gradient: Tensor) -> Tensor:
        mean, deviation = gradient.mean(), gradient.std()
        return gradient.clamp(mean - self.sigmas * deviation, mean + self.sigmas * deviation)
