"""A metric from outside the package: how it is defined, and what computes it for pairs of images.

    compute(originals, counterfactuals, *, source, target, classifier) -> one number an image

It gets uint8 images with shape (n, 3, H, W), between which classes each pair leads, int64 (n,), and
the explained classifier (a module from images in [-1, 1] to logits; None where there is none). It
returns n numbers in the metric's plain unit, NaN where an image has none. Their mean over the
metric's population is its value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vcebench.metrics.arrays import Floats
from vcebench.metrics.info import MetricInfo

if TYPE_CHECKING:
    from torch import Tensor, nn

SIGNATURE = "compute(originals, counterfactuals, *, source, target, classifier)"


class OutsideMetricError(ValueError):
    """A metric from outside failed, or returned something else than it should; one sentence."""


@dataclass(frozen=True)
class OutsideMetric:
    """A metric that is a mean over images.

    Attributes:
        info: its definition; `scale` turns the numbers into its unit, `range` is in that unit.
        compute: see this module.
    """

    info: MetricInfo
    compute: Callable[..., Any]

    def values(
        self,
        originals: Tensor,
        counterfactuals: Tensor,
        *,
        source: Tensor,
        target: Tensor,
        classifier: nn.Module | None,
    ) -> Floats:
        """(n,) numbers of some pairs. Raises OutsideMetricError: see there."""
        id, count = self.info.id, len(originals)
        try:
            made = self.compute(
                originals.clone(),
                counterfactuals.clone(),
                source=source.clone(),
                target=target.clone(),
                classifier=classifier,
            )
            found = np.asarray(made.detach().cpu() if hasattr(made, "detach") else made)
        except Exception as error:  # it is somebody's own code: anything can happen in it
            detail = " ".join(str(error).split())
            raise OutsideMetricError(f"{id} failed: {type(error).__name__}: {detail}") from error
        if found.shape != (count,):
            raise OutsideMetricError(
                f"{id} returned shape {found.shape}; return ({count},), one an image"
            )
        if found.dtype.kind not in "biuf":
            raise OutsideMetricError(f"{id} returned {found.dtype}; return numbers")
        numbers: Floats = found.astype(np.float64)
        low, high = self.info.range
        known = numbers[~np.isnan(numbers)] * self.info.scale
        wrong = known[(known < low) | (known > high) | ~np.isfinite(known)]
        if len(wrong):
            raise OutsideMetricError(
                f"{id} returned {wrong[0]:g}, beyond its range {low:g} … {high:g}"
            )
        return numbers
