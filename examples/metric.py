"""A metric outside the repository: the share of pixels that an explanation touches.

vcebench evaluate RUN --metric ./examples/metric.py:touched
"""

from vcebench.metrics.info import MetricInfo, Reference
from vcebench.metrics.outside import OutsideMetric

VISIBLE = 8
"""Levels of 255 from which on a change can be seen."""


def share(originals, counterfactuals, *, source, target, classifier):
    """(n,) share of the pixels whose strongest channel changes visibly."""
    change = (counterfactuals.int() - originals.int()).abs().amax(dim=1)
    return (change >= VISIBLE).float().mean(dim=(1, 2))


touched = OutsideMetric(
    MetricInfo(
        id="touched",
        title="Touched",
        better="lower",
        range=(0, 1),
        population="flipped",
        reference=Reference("an example", "mean |{max_c |x - x_cf| ≥ 8/255}| / (H·W)"),
        summary="Share of the pixels that change visibly.",
    ),
    share,
)
