"""What the registry says of a metric: direction, range, population, backbone, unit, source."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from vcebench.metrics.populations import Population

Better = Literal["higher", "lower"]
Backbone = Literal["classifier", "oracle", "features", "identity", "representation", "perceptual"]
IntervalKind = Literal["images", "halvings"]


class Reference(NamedTuple):
    """Where a metric is defined: the paper, and the equation written out."""

    paper: str
    equation: str


@dataclass(frozen=True)
class MetricInfo:
    """Definition of one metric.

    Attributes:
        id: lower-case identifier, as stored and as in the published tables.
        title: what a table shows.
        better: whether higher or lower values are better.
        range: smallest and largest possible value, in `unit`.
        population: images counted. Set distances compare the counterfactuals of this population
            with *all* originals.
        reference: paper and equation.
        summary: one sentence.
        backbone: role of the network whose outputs are compared, None if no network is needed.
            "features" is Inception-v3 for real data, the representation network for embedded sets.
        interval: what the bootstrap resamples, None if the metric has no interval.
        unit: unit of the value, "" for plain numbers.
        scale: factor from per-image values to `unit` (100 for percent).
    """

    id: str
    title: str
    better: Better
    range: tuple[float, float]
    population: Population
    reference: Reference
    summary: str
    backbone: Backbone | None = None
    interval: IntervalKind | None = "images"
    unit: str = ""
    scale: float = 1.0
