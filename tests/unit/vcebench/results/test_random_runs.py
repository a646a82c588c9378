"""Tables and claims over random subsets of runs: nothing lost, nothing made up."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcebench.metrics.registry import METRICS
from vcebench.results import claims, published
from vcebench.results.measurements import Measurement
from vcebench.results.tables.build import build
from vcebench.results.tables.layouts import layout, on_dataset
from vcebench.results.tables.names import column
from vcebench.results.tables.render import FORMATS, render, tidy
from vcebench.settings.config import PROTOCOL

METHODS = ("maskdime", "fastdime", "dime", "no-mask-s8", "fixed-mask", "pgd")
SHOWN = ("fid", "fs", "mnac", "cd", "cout", "fr", "time", "kid", "gt_iou")


def measurement(method: str, metric: str, images: int, value: float | None, **more: Any) -> Any:
    fields: dict[str, Any] = {
        "dataset": "synthfaces",
        "task": "smile",
        "lo": None,
        "hi": None,
        "n": images,
        "population": METRICS[metric].population,
        "backbone": "",
        "seed": "0",
        "device": "CPU made up, 1 thread",
        "commit": "0" * 40,
        "date": "2026-01-01",
        "protocol": PROTOCOL,
        "note": "made up" if value is None else "batch 16, τ 60",
    }
    return Measurement(
        method=method, metric=metric, images=images, value=value, **{**fields, **more}
    )


keys = st.tuples(st.sampled_from(METHODS), st.sampled_from(SHOWN), st.sampled_from([20, 32, 256]))
subsets = st.dictionaries(
    keys, st.none() | st.integers(0, 9999).map(lambda n: n / 100), max_size=24
).map(lambda found: [measurement(*key, value) for key, value in found.items()])
slow = settings(suppress_health_check=[HealthCheck.too_slow])


def document(number: str, rows: list[Measurement]) -> Any:
    original = layout(number)
    return build(on_dataset(original, "synthfaces"), original, rows)


def measured_cells(shown: Any) -> list[Any]:
    return [
        (row, cell)
        for panel in shown.panels
        for row in panel.rows
        for cell in row.cells
        if row.measured and cell.value is not None
    ]


@slow
@given(rows=subsets, number=st.sampled_from(["1", "4", "7"]), form=st.sampled_from(FORMATS))
def test_every_figure_is_a_measured_one_and_every_table_prints(
    rows: list[Measurement], number: str, form: Any
) -> None:
    shown = document(number, rows)
    given_ = {(r.method, r.metric, r.images): r.value for r in rows}
    for row, cell in measured_cells(shown):
        assert given_[row.method, cell.column.metric, row.images] == cell.value
    assert "nan" not in render(shown, form).lower().split()


@slow
@given(rows=subsets, number=st.sampled_from(["1", "4", "7"]), order=st.randoms())
def test_the_order_of_the_runs_changes_nothing(
    rows: list[Measurement], number: str, order: Any
) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert tidy(document(number, rows)) == tidy(document(number, shuffled))


@slow
@given(rows=subsets)
def test_the_best_of_its_peers_is_first(rows: list[Measurement]) -> None:
    for panel in document("4", rows).panels:
        for place in range(len(panel.columns) * len(panel.groups)):
            cells = [row.cells[place] for row in panel.rows if row.cells[place].rank]
            for cell in cells:
                peers = [
                    row.cells[place].value
                    for row in panel.rows
                    if row.cells[place].rank and row.cells[place].peers == cell.peers
                ]
                higher = column(cell.column.metric).better == "higher"
                best = max(peers) if higher else min(peers)
                assert (cell.rank == 1) == (cell.value == best)


@slow
@given(rows=subsets)
def test_tidy_rows_hold_every_figure_of_the_layout_once(rows: list[Measurement]) -> None:
    lines = csv.DictReader(io.StringIO(tidy(document("4", rows))))
    found = [
        (line["method"], line["metric"], int(line["images"]))
        for line in lines
        if line["origin"] == "measured" and line["value"] and line["images"]
    ]
    assert len(found) == len(set(found))
    entry = layout("4")
    shown = set(entry.methods)
    largest = {m: max(r.images for r in rows if r.method == m) for m in {r.method for r in rows}}
    kept = {largest[m] for m in largest if m in shown}
    wanted = {
        (r.method, r.metric, r.images)
        for r in rows
        if r.value is not None
        and r.method in shown
        and r.metric in entry.metrics
        and r.images in kept
    }
    assert wanted <= set(found)


@slow
@given(rows=subsets, others=subsets)
def test_figures_of_another_protocol_decide_no_claim(
    rows: list[Measurement], others: list[Measurement]
) -> None:
    foreign = [replace(row, protocol="other/1") for row in others]
    lines = published.claims()
    alone = claims.on_measurements(lines, rows, ["synthfaces"])
    assert claims.on_measurements(lines, [*rows, *foreign], ["synthfaces"]) == alone
    for verdict in alone:
        assert verdict.state in ("holds", "fails", "not measured")
        assert verdict.state != "not measured" or verdict.remark
