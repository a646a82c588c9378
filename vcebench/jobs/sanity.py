"""The sanity check: do a method's counterfactuals depend on the classifier they explain?

A method makes counterfactuals of the same images, towards the same targets and with the same noise,
for the task's classifier, for one of random weights and for one trained on permuted labels (Adebayo
et al., Sanity Checks for Saliency Maps, NeurIPS 2018). Where they do not differ, the method passes
nothing on from the classifier. One try each, so that no image is tried harder than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vcebench.errors import UserError, user_errors
from vcebench.folders.runfolder import RunFolder
from vcebench.jobs.plan import Planned, existing
from vcebench.methods import registry
from vcebench.metrics.arrays import Floats
from vcebench.metrics.bootstrap import Interval, mean_interval
from vcebench.metrics.sanity import edit_difference, edit_rank_correlation
from vcebench.models.shipped import IGNORANT
from vcebench.results.measurements import Measurement, StoredRun
from vcebench.settings.config import LADDER

IMAGES = 32


@dataclass(frozen=True)
class Mean:
    """Mean over n images, with its bootstrap interval; None over no image."""

    value: float | None
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class Comparison:
    """A method's counterfactuals for the task's classifier against those for another one.

    Attributes:
        method: what made them.
        classifier: the other one, "random" or "permuted".
        difference: see `metrics.sanity.edit_difference`; 0 exposes a method, 1 is all apart.
        rank_correlation: see `metrics.sanity.edit_rank_correlation`; 1 exposes a method.
    """

    method: str
    classifier: str
    difference: Mean
    rank_correlation: Mean

    @property
    def metric(self) -> str:
        """How tables and files call the difference."""
        return f"sanity_{self.classifier}"


def sanity_plan(
    method: str, dataset: str = "synthfaces", task: str = "smile", images: int = IMAGES
) -> list[Planned]:
    """The run for the task's classifier, then those for the others.

    Raises UserError if the task has no others, or nobody knows the method.
    """
    with user_errors():
        registry.method(method)
    others = IGNORANT.get((dataset, task), ())
    if not others:
        known = ", ".join(" ".join(key) for key in IGNORANT)
        raise UserError(f"no classifier to compare with on {dataset} {task}; there is on {known}")
    reads = "lambda_class" in registry.METHODS[method].factory.weights
    return [
        Planned(method, dataset, task, images, classifier=name, rungs=LADDER[:1] if reads else None)
        for name in ("task", *others)
    ]


def comparisons(planned: Sequence[Planned], stored: Sequence[StoredRun]) -> list[Comparison]:
    """What the runs of a `sanity_plan` say, as far as they exist."""
    own, *others = [(wanted, existing(wanted, stored)) for wanted in planned]
    if own[1] is None:
        return []
    images = own[0].limit
    return [
        compare(RunFolder(own[1].path), RunFolder(run.path), images)
        for _, run in others
        if run is not None
    ]


def compare(own: RunFolder, other: RunFolder, images: int | None = None) -> Comparison:
    """Compare two runs on the images whose counterfactuals are finite and asked for alike.

    Args:
        own, other: runs of one method on the same images.
        images: only the first ones.
    """
    theirs = {row.id: row for row in other.rows() if row.finite}
    rows = [
        row
        for row in own.rows()[:images]
        if row.finite and row.id in theirs and theirs[row.id].target == row.target
    ]
    difference: Floats = np.empty(0)
    rank = difference
    if rows:
        x = own.images("inputs", rows)
        others = [theirs[row.id] for row in rows]
        pair = (own.images("counterfactuals", rows), other.images("counterfactuals", others))
        difference = edit_difference(x, *pair)
        rank = edit_rank_correlation(x, *pair)
    config = other.config()
    return Comparison(config.method, config.classifier, _mean(difference), _mean(rank))


def _mean(values: Floats) -> Mean:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return Mean(None, None, 0)
    return Mean(float(defined.mean()), mean_interval(defined), len(defined))


def measurements(planned: Sequence[Planned], stored: Sequence[StoredRun]) -> list[Measurement]:
    """The differences as rows of a file of measured figures."""
    runs = {wanted.classifier: existing(wanted, stored) for wanted in planned}
    rows = []
    for found in comparisons(planned, stored):
        run, difference = runs[found.classifier], found.difference
        if run is None:
            continue
        low, high = difference.interval or (None, None)
        rank = found.rank_correlation.value
        note = "no edit" if rank is None else f"one try; rank correlation {rank:.3f}"
        rows.append(
            replace(
                run.figures[0],
                metric=found.metric,
                value=difference.value,
                lo=low,
                hi=high,
                n=difference.n,
                images=planned[0].limit,
                population="all",
                backbone="",
                note=note,
            )
        )
    return rows


def rows_of(found: Sequence[Comparison]) -> list[dict[str, object]]:
    """Comparisons as rows for people."""
    return [
        {
            "method": one.method,
            "classifier": one.classifier,
            "n": one.difference.n,
            "difference": one.difference.value,
            "difference 95 %": one.difference.interval,
            "rank correlation": one.rank_correlation.value,
            "rank correlation 95 %": one.rank_correlation.interval,
        }
        for one in found
    ]
