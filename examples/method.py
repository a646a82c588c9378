"""A method of the guided reverse loop outside the repository: MaskDiME whose masks only shrink.

vcebench run --method ./examples/method.py:Shrinking --name shrinking --dataset synthfaces
"""

from dataclasses import dataclass

from vcebench.methods.maskdime import MaskDiME


@dataclass(frozen=True)
class Shrinking(MaskDiME):
    """MaskDiME in which a pixel that left the masks never comes back."""

    def masks(self, state, posterior, gradient):
        outer, inner = super().masks(state, posterior, gradient)
        if state.mask_z is not None and outer is not None:
            outer = outer & state.mask_z
            inner = inner & state.mask_z
        return outer, inner
