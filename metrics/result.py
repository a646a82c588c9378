"""A metric's value with what it is worth: n, interval, backbone, population, or why it is missing.

`summarise` turns per-image values into a `MetricValue`, `measure` does so for set metrics. A metric
that cannot be computed is missing with a reason; NaN never enters a `MetricValue`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vcebench.metrics.arrays import ArrayInput, Floats, NotComputableError, as_numbers
from vcebench.metrics.bootstrap import RESAMPLES, Interval, mean_interval
from vcebench.metrics.populations import EMPTY_REASON, Population, populations
from vcebench.metrics.registry import metric


@dataclass(frozen=True)
class MetricValue:
    """One measured metric, or a missing one.

    Attributes:
        id: metric id.
        value: the number in the metric's unit, None if missing.
        n: number of images it counts.
        interval: 95 % bootstrap interval (low, high) in the same unit, None without one.
        backbone: readable name of the network behind it, None if there is none.
        population: which images it counts.
        reason: why it is missing; None exactly if there is a value.

    Raises:
        MetricError: unknown id.
        ValueError: the value is not finite or outside the metric's range, the interval is upside
            down, or value and reason are both given or both absent.
    """

    id: str
    value: float | None
    n: int
    interval: Interval | None
    backbone: str | None
    population: Population
    reason: str | None = None

    def __post_init__(self) -> None:
        low, high = metric(self.id).range
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"{self.id}: give either a value or the reason why it is missing")
        if self.value is None:
            if self.interval is not None:
                raise ValueError(f"{self.id}: a missing value has no interval")
            return
        tolerance = 1e-9 * max(1.0, abs(self.value))  # rounding of means at the very end of a range
        if not math.isfinite(self.value) or not low - tolerance <= self.value <= high + tolerance:
            raise ValueError(f"{self.id}: {self.value} is not within [{low}, {high}]")
        if self.interval is not None and not self.interval[0] <= self.interval[1]:
            raise ValueError(f"{self.id}: interval {self.interval} is upside down")


def measured(
    id: str,
    value: float,
    *,
    n: int,
    interval: Interval | None = None,
    backbone: str | None = None,
) -> MetricValue:
    """A value in the metric's unit, with the registry's population."""
    return MetricValue(id, float(value), n, interval, backbone, metric(id).population)


def missing(id: str, reason: str, *, n: int = 0, backbone: str | None = None) -> MetricValue:
    """A metric that could not be computed.

    >>> missing("sigma_l", "needs --seeds 5").value is None
    True
    """
    return MetricValue(id, None, n, None, backbone, metric(id).population, reason)


def summarise(
    id: str,
    values: ArrayInput,
    flipped: ArrayInput,
    correct: ArrayInput,
    *,
    backbone: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MetricValue:
    """Mean of per-image values over the metric's population, with its bootstrap interval.

    Args:
        id: metric id; the registry knows its population, scale and kind of interval.
        values: (n,) one value per explained image, booleans included; NaN where the image has no
            value (not computed outside the population, or not defined for this image).
        flipped, correct: (n,) booleans per image.
        backbone: readable name of the network behind the values.
        resamples, seed: of the bootstrap.

    Returns:
        A value over the n images of the population that have one, or a missing one if there are
        none.

    >>> summarise("fr", [True, False, True, True], [1, 0, 1, 1], [1, 1, 1, 1]).value
    75.0
    """
    info = metric(id)
    per_image = as_numbers(values, "values", 1)
    members = populations(flipped, correct)[info.population]
    if members.shape != per_image.shape:
        raise ValueError(f"{id}: {len(per_image)} values for {len(members)} images")
    counted = per_image[members]
    defined = counted[~np.isnan(counted)] * info.scale
    if len(counted) == 0:
        return missing(id, EMPTY_REASON[info.population], backbone=backbone)
    if len(defined) == 0:
        return missing(id, f"not defined for any of {len(counted)} images", backbone=backbone)
    interval = None
    if info.interval == "images":
        interval = mean_interval(defined, resamples=resamples, seed=seed)
    return measured(id, defined.mean(), n=len(defined), interval=interval, backbone=backbone)


def measure(
    id: str,
    compute: Callable[[], float | Floats],
    *,
    n: int,
    interval: Callable[[], Interval | None] | None = None,
    backbone: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MetricValue:
    """A metric of whole sets (FID, KID, sFID, CD), missing if `compute` says it has no value.

    Args:
        id: metric id.
        compute: returns the value in the metric's unit, or its repetitions (r,), such as the
            halvings of sFID or blocks of KID, whose mean is the value and whose bootstrap is the
            interval. May raise NotComputableError.
        n: number of images of the population.
        interval: returns the interval of metrics that bring their own (CD).
        backbone: readable name of the network behind the features.
        resamples, seed: of the bootstrap over repetitions.

    >>> measure("kid", lambda: 0.25, n=20).value
    0.25
    """
    if n == 0:
        return missing(id, EMPTY_REASON[metric(id).population], backbone=backbone)
    try:
        repetitions = np.atleast_1d(np.asarray(compute(), dtype=np.float64))
        bounds = None if interval is None else interval()
    except NotComputableError as error:
        return missing(id, str(error), n=n, backbone=backbone)
    if interval is None:  # of a single value there is none
        bounds = mean_interval(repetitions, resamples=resamples, seed=seed)
    return measured(id, float(repetitions.mean()), n=n, interval=bounds, backbone=backbone)
