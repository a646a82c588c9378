"""The papers' claims tested on measured figures: holds, fails, or not measured.

The rules of relation and margin are those of the README beside `claims.csv`. A rank is counted
among the measured methods; with fewer than three it is not measured. The same engine tests the
claims on the printed numbers, which shows where a paper's sentence and its table disagree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vcebench.methods.registry import ALIASES, METHODS
from vcebench.metrics.registry import METRICS
from vcebench.results import published
from vcebench.results.measurements import Measurement
from vcebench.results.published import Claim, PublishedFigure
from vcebench.results.tables.layouts import ABLATIONS, STAND_INS, VARIANTS, Group
from vcebench.results.tables.names import column, figure_text, method_name, power_text
from vcebench.settings.config import PROTOCOL
from vcebench.settings.origin import foreign_name, published_name

State = Literal["holds", "fails", "not measured"]

RANKED = 3
"""Methods a rank needs."""

MEASURED_AS = {
    "total_time_s": "time",
    "peak_memory_mb": "peak_memory",
    "network_evaluations": "nfe_per_try",
    "fid_plus": None,
    "seconds_per_image": None,
    "background_loss": None,
}
"""Metric of a claim → what it is called here, where that differs; None: not measured here."""


@dataclass(frozen=True)
class Evidence:
    """A figure that speaks for or against a claim.

    Attributes:
        method: id.
        value: the figure; for a complexity the power of τ, None if it is only a formula.
        text: as shown.
        interval: 95 %, None without one.
        peers: figures with equal peers may be compared.
        images: images explained; 0 for printed figures.
    """

    method: str
    value: float | None
    text: str
    interval: tuple[float, float] | None = None
    peers: Hashable = None
    images: int = 0


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        claim: the claim.
        state: "holds", "fails" or "not measured".
        on: data set and task it was tested on.
        left, right: both figures as text, with interval where there is one.
        remark: rank and number of methods, overlap of intervals, or why it is not measured.
        images: images behind the figures.
    """

    claim: Claim
    state: State
    on: Group
    left: str = ""
    right: str = ""
    remark: str = ""
    images: int = 0


def place(claim: Claim, dataset: str | None) -> Group | None:
    """Where a claim is tested on a data set: its own task, or the embedded stand-in's.

    None if the claim is about another data set.
    """
    own = Group(claim.dataset, claim.task)
    if dataset is None or dataset == claim.dataset:
        return own
    task = STAND_INS.get(dataset, {}).get(own)
    return None if task is None else Group(dataset, task)


def on_measurements(
    claims: Iterable[Claim],
    measured: Sequence[Measurement],
    datasets: Sequence[str],
) -> list[Verdict]:
    """Verdicts on the claims that concern the data sets; each claim once a data set.

    Args:
        claims: the claims.
        measured: figures; those of another protocol do not count.
        datasets: published or embedded ones.
    """
    rows = [row for row in measured if row.protocol == PROTOCOL and row.value is not None]
    verdicts = []
    for claim in claims:
        for dataset in datasets:
            on = place(claim, dataset)
            if on is not None:
                verdicts.append(_on_measured(claim, on, rows))
    return verdicts


def _on_measured(claim: Claim, on: Group, rows: Sequence[Measurement]) -> Verdict:
    metric = MEASURED_AS.get(claim.metric, claim.metric)
    if metric is None:
        remark = f"{claim.metric} is no metric of {PROTOCOL}"
        return Verdict(claim, "not measured", on, remark=remark)
    here = [r for r in rows if (r.dataset, r.task, r.metric) == (on.dataset, on.task, metric)]
    # An import speaks for a method of which there is no run.
    own = {row.method for row in here}
    evidence = [
        _measured_evidence(row)
        for row in here
        if foreign_name(row.method) is None or foreign_name(row.method) not in own
    ]
    right = claim.right_method_or_value
    run = replace(
        claim,
        left_method=ALIASES.get(claim.left_method, claim.left_method),
        right_method_or_value=ALIASES.get(right, right),
    )
    return replace(judge(run, on, evidence, metric, RANKED), claim=claim)


def _measured_evidence(row: Measurement) -> Evidence:
    assert row.value is not None
    interval = None if row.lo is None or row.hi is None else (row.lo, row.hi)
    text = _text(row.metric, row.value)
    if interval is not None:
        text += f" [{_text(row.metric, row.lo)}, {_text(row.metric, row.hi)}]"
    machine = row.device if row.metric in ("time", "peak_memory") else ""
    peers = (row.images, row.backbone, machine)
    if foreign_name(row.method) is not None:
        text += " (imported)"
    return Evidence(published_name(row.method), row.value, text, interval, peers, row.images)


def _text(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    if metric == "complexity":
        return power_text(value)
    digits = column(metric).digits if metric in METRICS else 0
    small = 0 < abs(value) < 10 ** (1 - digits)
    return f"{value:.3g}" if small else figure_text(metric, value, digits)


def on_print(claims: Iterable[Claim]) -> list[Verdict]:
    """The claims tested on the printed numbers of their own paper."""
    return [_on_print(claim, published.figures()) for claim in claims]


# Two rows of one method that only the claims tell apart: id → word in the note of the figure.
_VARIANTS_IN_PRINT = {"eced-threshold-small": "smaller", "eced-threshold-large": "larger"}


def _on_print(claim: Claim, figures: Sequence[PublishedFigure]) -> Verdict:
    on = Group(claim.dataset, claim.task)
    source = claim.source.removesuffix("-supp")
    evidence: dict[str, Evidence] = {}
    for figure in figures:
        same = (figure.dataset, figure.task, figure.metric) == (on.dataset, on.task, claim.metric)
        if not same or figure.source.removesuffix("-supp") != source:
            continue
        method = figure.method
        for id, word in _VARIANTS_IN_PRINT.items():
            if method == "eced" and figure.note.startswith(word):
                method = id
        one = Evidence(method, figure.number, figure.value)
        # Several parts of one experiment: the largest stands for all.
        if method not in evidence or (one.value or 0) > (evidence[method].value or 0):
            evidence[method] = one
    return judge(claim, on, list(evidence.values()), claim.metric, 1)


def judge(
    claim: Claim, on: Group, evidence: Sequence[Evidence], metric: str, ranked: int
) -> Verdict:
    """The verdict on one claim.

    Args:
        claim: the claim.
        on: where it is tested.
        evidence: figures of its metric there, of all methods.
        metric: registry id of the metric, for its direction.
        ranked: methods a rank needs.
    """
    left = [one for one in evidence if one.method == claim.left_method]
    if not left:
        return Verdict(claim, "not measured", on, remark=_absent(claim.left_method))
    if claim.relation == "rank<=":
        return _rank(claim, on, evidence, metric, ranked)
    if metric == "complexity":
        one = max(left, key=lambda e: e.images)
        state: State = "holds" if one.text == claim.right_method_or_value else "fails"
        return Verdict(claim, state, on, one.text, claim.right_method_or_value, "", one.images)
    try:
        number = float(claim.right_method_or_value)
    except ValueError:
        return _pair(claim, on, left, evidence)
    one = max(left, key=lambda e: e.images)
    assert one.value is not None
    right = claim.right_method_or_value
    decimals = len(right.partition(".")[2])
    state = "holds" if compare(claim, one.value, number, decimals) else "fails"
    return Verdict(claim, state, on, one.text, right, _inside(one, number), one.images)


def _pair(
    claim: Claim, on: Group, left: Sequence[Evidence], evidence: Sequence[Evidence]
) -> Verdict:
    """Two methods against each other, on as many common images as there are."""
    right = [one for one in evidence if one.method == claim.right_method_or_value]
    if not right:
        return Verdict(claim, "not measured", on, remark=_absent(claim.right_method_or_value))
    pairs = [(a, b) for a in left for b in right if a.peers == b.peers]
    if not pairs:
        remark = "measured on different images, backbones or devices"
        return Verdict(claim, "not measured", on, left[0].text, right[0].text, remark)
    a, b = max(pairs, key=lambda pair: pair[0].images)
    assert a.value is not None
    assert b.value is not None
    state: State = "holds" if compare(claim, a.value, b.value, None) else "fails"
    return Verdict(claim, state, on, a.text, b.text, _overlap(a, b), a.images)


def _rank(
    claim: Claim, on: Group, evidence: Sequence[Evidence], metric: str, ranked: int
) -> Verdict:
    """Rank among systems: ablations and other implementations of the same method do not count."""
    groups: dict[Hashable, list[Evidence]] = {}
    for one in evidence:
        if one.method not in (*ABLATIONS, *VARIANTS):
            groups.setdefault(one.peers, []).append(one)
    fitting = [g for g in groups.values() if any(e.method == claim.left_method for e in g)]
    group = max(fitting, key=lambda g: (len(g), g[0].images))
    own = next(one for one in group if one.method == claim.left_method)
    if len(group) < ranked:
        remark = f"a rank needs {ranked} measured methods, there {_are(len(group))}"
        return Verdict(claim, "not measured", on, own.text, "", remark, own.images)
    better = _better(metric)
    assert own.value is not None
    ahead = [one for one in group if one.value is not None and better(one.value, own.value)]
    rank = 1 + len(ahead)
    first = min(group, key=lambda e: -(e.value or 0) if _high(metric) else (e.value or 0))
    state: State = "holds" if rank <= int(claim.right_method_or_value) else "fails"
    shown = "" if first.method == own.method else f"best: {method_name(first.method)} {first.text}"
    remark = f"rank {rank} of {len(group)} measured methods" if ranked > 1 else f"rank {rank}"
    return Verdict(claim, state, on, own.text, shown, remark, own.images)


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {count}"


def _high(metric: str) -> bool:
    return metric in METRICS and METRICS[metric].better == "higher"


def _better(metric: str) -> Callable[[float, float], bool]:
    return (lambda a, b: a > b) if _high(metric) else (lambda a, b: a < b)


def compare(claim: Claim, left: float, right: float, decimals: int | None) -> bool:
    """Whether relation and margin hold between two numbers.

    Args:
        claim: gives relation and margin.
        left, right: the figures.
        decimals: of a printed right side: "=" compares after rounding to them.
    """
    if claim.relation == "=":
        return round(left, 9 if decimals is None else decimals) == right
    kind, size = claim.limit or ("", 0.0)
    if claim.relation == "~":
        return abs(left - right) <= size / 100 * abs(right) + 1e-12
    low, high = (left, right) if claim.relation in ("<", "<=") else (right, left)
    ordered = low <= high if claim.relation in ("<=", ">=") else low < high
    if kind == "factor":
        return ordered and high > 0 and (low == 0 or (low > 0 and high / low >= size))
    if kind == "abs":
        # Differences of printed decimals are not exact in binary.
        return ordered and high - low >= size - 1e-9
    return ordered


def _inside(one: Evidence, number: float) -> str:
    if one.interval is None or math.isclose(*one.interval):
        return ""
    low, high = one.interval
    return "the value lies within the 95 % interval" if low <= number <= high else ""


def _overlap(a: Evidence, b: Evidence) -> str:
    if a.interval is None or b.interval is None:
        return ""
    apart = a.interval[1] < b.interval[0] or b.interval[1] < a.interval[0]
    return "" if apart else "95 % intervals overlap"


def _absent(method: str) -> str:
    if method in METHODS:
        return f"no figure of {method_name(method)}"
    return f"{method_name(method)} is no method of this benchmark"
