"""Release compatibility, batch-dependent: what released programs do and papers do not say.

Options of MaskDiME's program reproduce its argument parser's defaults and nothing else; no
published number used them. RCSB's program always does what is here.
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


def stretched(x: Tensor) -> Tensor:
    """What RCSB's program shows a classifier of estimates (B, C, H, W).

    Every image's own minimum and maximum become -1 and 1; but if no image of the *batch* has a
    negative value, they are taken for images on [0, 1].
    """
    if bool((x >= 0).all()):
        return 2 * x - 1
    # By index: of several extreme pixels one alone gets the gradient, where amin would share it.
    low, high = (
        extreme.values[:, None, None, None]
        for extreme in (x.flatten(1).min(dim=1), x.flatten(1).max(dim=1))
    )
    return 2 * (x - low) / (high - low) - 1
