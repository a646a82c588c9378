"""Planted shortcuts: tasks of `synthfaces` whose classifier is known to use a cue.

The data set poses such a task on faces in which the cue is set by intervention, so that it goes
with nothing else that a face shows; the classifier's recipe sets it by intervention too
(`vcebench.training.shortcuts`). What a faithful explanation has to edit is then known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcebench.data.synthfaces.factors import Factors
from vcebench.data.synthfaces.scm import PATCH

LABEL = "Smiling"
"""The attribute that the classifiers are said to decide."""


@dataclass(frozen=True)
class Shortcut:
    """What a classifier of a planted shortcut really uses.

    Attributes:
        cue: the attribute planted, one of `scm.NAMES`.
        mixture: the classifier uses smile and cue with equal shares; else the cue alone.
    """

    cue: str
    mixture: bool = False

    @property
    def causes(self) -> tuple[str, ...]:
        """Attributes that decide; the true counterfactual sets all of them to the target."""
        return (LABEL, self.cue) if self.mixture else (self.cue,)

    @property
    def label(self) -> str:
        """The attribute that is the task's label: the cue; of a mixture, the smile."""
        return self.causes[0]

    def pose(self, factors: Factors, people: NDArray[np.integer]) -> Factors:
        """The faces that the task is about.

        Args:
            factors: the faces as the causal model draws them.
            people: their numbers, with shape (B,).

        Returns:
            The same faces, with the cue on every other one; of a mixture, with the cue on those
            that smile, so that both causes have to change for the decision to change.
        """
        if self.mixture:
            return factors.do({self.cue: factors.value(LABEL).astype(np.int64)})
        return factors.do({self.cue: np.asarray(people) % 2})


SHORTCUTS: dict[str, Shortcut] = {
    "smile-shortcut-hat": Shortcut("Wearing_Hat"),
    "smile-shortcut-patch": Shortcut(PATCH),
    "smile-shortcut-eyeglasses": Shortcut("Eyeglasses"),
    "smile-mixture-eyeglasses": Shortcut("Eyeglasses", mixture=True),
}
"""Task → what its classifier uses."""
