"""What the field says about single questions, and of the papers: tables of docs/field.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from benchmarks.fieldpages import HOME, TOLD, Ground, github, grid, heading, method_line, rows, ten
from vcebench.jobs.field import FIELD, TASKS
from vcebench.jobs.plan import unable
from vcebench.jobs.truth import PUBLISHED
from vcebench.jobs.truthtable import ATTACK, Agreement, agreements, cell
from vcebench.methods.core.method import Method
from vcebench.methods.registry import ALIASES, METHODS
from vcebench.metrics.registry import METRICS
from vcebench.results.claims import on_measurements
from vcebench.results.collection import all_measured, committed
from vcebench.results.measurements import Measurement
from vcebench.results.published import claims as every_claim
from vcebench.results.published import figures as every_figure
from vcebench.results.tables.layouts import ABLATIONS, DIVERSITY, VARIANTS
from vcebench.results.tables.names import family, method_name
from vcebench.results.tables.notes import PRINTED_ONLY

PAPERS = {
    "maskdime": "MaskDiME",
    "maskdime-supp": "MaskDiME, supplement",
    "rcsb": "RCSB",
    "eced": "ECED",
    "dime": "DiME",
}
PAIRS = (
    ("no-mask-s8", "maskdime", "MaskDiME's two masks"),
    ("no-mask-s8", "fixed-mask", "the first step's masks, kept"),
    ("ace-l1-pre", "ace-l1", "ACE's refinement inside the edit"),
    ("fastdime", "fastdime-2plus", "FastDiME's second pass, inside the first one's difference"),
    ("inpaint", "rcsb-c", "guidance inside a region"),
    ("rcsb-freeform-10-20", "rcsb-b", "an attribution's region instead of random strokes"),
    ("rcsb-c", "rcsb-truth", "the right region instead of an attribution's"),
)
"""(without, with, what is added)."""
CODES = ("codes of an autoencoder", "latent diffusion")
RANKED = ("gt_precision", "gt_iou", "off_target", "oracle_fr")
RANKED_ON: dict[str, Callable[[Measurement], bool]] = {
    "all methods": lambda row: True,
    "without pgd": lambda row: row.method != ATTACK,
    "plain classifiers alone": lambda row: row.task.endswith("-plain"),
}
"""Which rows metrics are ranked on, always among the methods of a task."""

NOT_HERE = {
    "eced": "a sentence about ECED that does not say which; `eced-v` and `eced-r` are methods here",
    **dict.fromkeys(
        ("eced-threshold-small", "eced-threshold-large"),
        "one setting of ECED at two values, of which the sentence does not say which",
    ),
    **dict.fromkeys(PRINTED_ONLY, "printed rows only: how it was guided is not published"),
    "rcsb-langsam": "its regions come from a network that takes words; no embedded set has one",
    "ace": "a sentence about ACE that does not say with which distance; both are methods here",
    "pe": "printed rows only: it trains a conditional GAN for each classifier and question",
    "eced-r": "it looks at a block of a ResNet-50, which no classifier that ships here has",
}
"""Systems of the papers that have no id here, or that no embedded set can run → why."""


def blocks() -> dict[str, str]:
    """Name of a marked part → its text."""
    grounds = [Ground(dataset) for dataset in TASKS]
    (home,) = (ground for ground in grounds if ground.dataset == HOME[0])
    return {
        "ten": ten(home),
        "grid": grid(grounds),
        "claims": claims(grounds),
        "rows": rows(grounds),
        "plain": plain(grounds),
        "masks": masks(grounds),
        "codes": codes(grounds),
        "ranks": ranks(grounds),
        "spread": spread(grounds),
        "systems": systems(grounds),
        "state": state(grounds),
    }


def plain(grounds: Sequence[Ground]) -> str:
    """How often the explained classifier flips, and how often the oracle agrees, by family."""
    lines = []
    for ground in grounds:
        tables = {task: ground.of(task) for task in TASKS[ground.dataset]}
        for smooth in (task for task in tables if f"{task}-plain" in tables):
            suite = (smooth, f"{smooth}-plain", f"{smooth}-robust")
            there = [method for method in FIELD if _in(tables, suite, method)]
            lines += [_beside(ground.dataset, smooth, suite, tables, method) for method in there]
    return github(lines) if lines else "Nothing is measured yet."


def _in(tables: Mapping[str, Mapping[str, object]], suite: Sequence[str], method: str) -> bool:
    return any(method in tables.get(task, {}) for task in suite)


def _beside(
    dataset: str,
    smooth: str,
    suite: Sequence[str],
    tables: Mapping[str, Mapping[str, dict[str, Measurement]]],
    method: str,
) -> dict[str, object]:
    line: dict[str, object] = {"set": dataset, "method": f"`{method}`"}
    for task, name in zip(suite, ("as shipped (smooth)", "plain", "robust"), strict=True):
        figures = tables.get(task, {}).get(method, {})
        both = [figures.get(id) for id in ("fr", "oracle_fr")]
        values = [f"{one.value:.0f}" for one in both if one and one.value is not None]
        line[name] = " → ".join(values) if values else "–"
    return line


def _compared(ground: Ground) -> list[str]:
    """The tasks of a set on which pairs and codes are compared."""
    return [task for task in TASKS[ground.dataset] if task in TOLD]


def masks(grounds: Sequence[Ground]) -> str:
    """With and without a mask or region, on as many images as both have."""
    lines: list[dict[str, object]] = []
    for without, with_, what in PAIRS:
        for ground in grounds:
            for task in _compared(ground):
                lines += _pair(ground, task, (without, with_), what)
    return github(lines) if lines else "Nothing is measured yet."


def _pair(ground: Ground, task: str, pair: tuple[str, str], what: str) -> list[dict[str, object]]:
    own = [row for row in ground.all_rows if row.task == task and row.value is not None]
    counts = [{row.images for row in own if row.method == method} for method in pair]
    shared = counts[0] & counts[1]
    if not shared:
        return []
    images = max(shared)
    figures = [
        {r.metric: r for r in own if r.method == method and r.images == images} for method in pair
    ]
    line: dict[str, object] = {"added": what, "where": f"{ground.dataset} {task}", "n": images}
    for id in ("oracle_fr", "gt_precision", "off_target", "cout", "kid"):
        values = [one[id].value if id in one else None for one in figures]
        known = [f"{value:.3g}" for value in values if value is not None]
        line[heading(id)] = " → ".join(known) if len(known) == 2 else "–"
    return [line]


def codes(grounds: Sequence[Ground]) -> str:
    """Methods that decode what they show, beside MaskDiME, which leaves pixels alone."""
    lines = []
    columns = ("fr", "oracle_fr", "gt_precision", "off_target", "l1", "cout", "kid")
    for ground in grounds:
        for task in _compared(ground):
            found = ground.of(task)
            those = [method for method in found if family(method) in CODES]
            for method in [*those, "maskdime"] if those else []:
                own = method_line(method, found.get(method, {}), columns)
                lines.append({"where": f"{ground.dataset} {task}", **own})
    if lines:
        return github(lines)
    return "No method that walks among codes is measured on an embedded set yet."


def ranks(grounds: Sequence[Ground]) -> str:
    """Rank correlations of the published metrics with known truth, over all methods."""
    parts = []
    for ground in grounds:
        for scope, belongs in RANKED_ON.items():
            chosen = [row for row in ground.rows if belongs(row)]
            found = agreements(chosen, "within tasks", RANKED, ("fr", *PUBLISHED))
            metrics = list(dict.fromkeys(a.published for a in found if a.rho is not None))
            truths = [t for t in RANKED if any(a.truth == t and a.rho is not None for a in found)]
            lines = []
            for published in metrics:
                line: dict[str, object] = {"metric": METRICS[published].title}
                own = {a.truth: a for a in found if a.published == published}
                line |= {METRICS[t].title: _rho(own[t]) for t in truths}
                lines.append({**line, "pairs": max(own[t].n for t in truths)})
            if lines:
                parts.append(f"{ground.dataset}, {scope}:\n\n{github(lines)}")
    return "\n\n".join(parts) if parts else "Too few methods are measured for a rank correlation."


def spread(grounds: Sequence[Ground]) -> str:
    """How far apart the counterfactuals of several seeds are, of every method that draws noise."""
    parts = []
    for ground in grounds:
        found = [row for row in committed(ground.dataset, DIVERSITY) if row.value is not None]
        found.sort(key=lambda row: -(row.value or 0))
        lines = [
            {"method": f"`{row.method}`", "family": family(row.method), "σ_L": cell(row)}
            for row in found
        ]
        if lines:
            where = f"{ground.dataset}, {found[0].task}, {found[0].images} images, five seeds"
            parts.append(f"{where}:\n\n{github(lines)}")
    return "\n\n".join(parts) if parts else "Nothing is measured yet."


def _rho(one: Agreement) -> str:
    if one.rho is None or one.interval is None:
        return "–"
    low, high = one.interval
    shown = f"{one.rho:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"**{shown}**" if low > 0 or high < 0 else shown


def claims(grounds: Sequence[Ground]) -> str:
    """How many of the papers' claims hold on every embedded set."""
    lines = []
    for ground in grounds:
        measured = all_measured(ground.dataset, []).rows
        verdicts = on_measurements(every_claim(), measured, [ground.dataset])
        counts = {name: Counter[str]() for name in dict.fromkeys(PAPERS.values())}
        for one in verdicts:
            counts[PAPERS[one.claim.source]][one.state] += 1
        for paper, states in counts.items():
            if states:
                shown = {state: states[state] for state in ("holds", "fails", "not measured")}
                lines.append({"on": ground.dataset, "claims of": paper, **shown})
    return github(lines)


def systems(grounds: Sequence[Ground]) -> str:
    """Every system that the papers print or speak of, and where it is measured here."""
    printed = [figure.method for figure in every_figure()]
    named = [m for c in every_claim() for m in (c.left_method, c.right_method_or_value)]
    known = [m for m in dict.fromkeys([*printed, *named]) if m in METHODS or m in NOT_HERE]
    lines = []
    for method in known:
        if method not in (*ABLATIONS, *VARIANTS):
            lines.append({"system": method_name(method), "here": _here(grounds, method)})
    return github(lines)


def _here(grounds: Sequence[Ground], method: str) -> str:
    id = ALIASES.get(method, method)
    if method in NOT_HERE:
        return NOT_HERE[method]
    measured = [
        f"{ground.dataset} {task}" if number == 0 else task
        for ground in grounds
        for number, task in enumerate(
            dict.fromkeys(
                row.task for row in ground.all_rows if row.method == id and row.value is not None
            )
        )
    ]
    if measured:
        return f"`{id}`: {', '.join(measured)}"
    tasks = [(ground.dataset, TASKS[ground.dataset][0]) for ground in grounds]
    if any(unable(id, dataset, task) is None for dataset, task in tasks):
        if id in FIELD:
            return f"`{id}`: not measured yet"
        return f"`{id}`: runs here, but is no family of its own; `vcebench run --method {id}`"
    roles = sorted(METHODS[id].factory.needs - Method.needs)
    return f"`{id}`: no embedded set has all the networks that it needs ({', '.join(roles)}) yet"


def state(grounds: Sequence[Ground]) -> str:
    """How much of the field is measured, and the command that goes on."""
    lines = []
    for ground in grounds:
        planned, left = len(ground.plan.planned), ground.waiting
        lines.append(
            {
                "set": ground.dataset,
                "rows of the field": planned,
                "measured": planned - len(left),
                "left out, with a reason each": len(ground.plan.left_out),
                "still to run": f"`vcebench sweep --all --dataset {ground.dataset}`"
                if left
                else "nothing",
            }
        )
    return github(lines)
