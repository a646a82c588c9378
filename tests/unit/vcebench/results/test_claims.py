"""Claims: relations and margins, ranks, where they are tested, and what is said of them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from vcebench.results import published
from vcebench.results.claims import compare, on_measurements, on_print, place
from vcebench.results.published import Claim
from vcebench.results.tables.layouts import Group

UNMET = {
    *("md-002", "md-048", "md-054", "rcsb-006", "rcsb-008", "rcsb-009", "rcsb-010"),
    *("eced-010", "eced-018", "eced-036", "eced-041"),
}
"""Claims that the README of the published figures lists as not met by the printed numbers."""


def claim(relation: str = "<", right: str = "dime", margin: str = "", **changes: str) -> Claim:
    values = dict.fromkeys((field.name for field in fields(Claim)), "")
    values |= {"id": "x", "source": "maskdime", "dataset": "celeba", "task": "smile"}
    values |= {"metric": "fid", "left_method": "maskdime", "relation": relation}
    return Claim(**{**values, "right_method_or_value": right, "margin": margin, **changes})


def verdict(one: Claim, *rows, dataset: str = "synthfaces"):
    (found,) = on_measurements([one], rows, [dataset])
    return found


def test_on_the_printed_numbers_exactly_the_known_claims_fail():
    found = on_print(published.claims())
    assert {v.claim.id for v in found if v.state == "fails"} == UNMET
    assert sum(v.state == "holds" for v in found) == 308 - len(UNMET) - 6


@pytest.mark.parametrize(
    ("relation", "margin", "left", "right", "expected"),
    [
        ("<", "", 1, 2, True),
        ("<", "", 2, 2, False),
        ("<=", "", 2, 2, True),
        (">", "", 3, 2, True),
        (">=", "", 2, 2, True),
        (">=", "", 1, 2, False),
        ("<", "factor:2", 1, 2, True),
        ("<", "factor:2", 1.1, 2, False),
        (">", "factor:2", 4, 2, True),
        (">", "factor:2", 1, -0.5, False),
        ("<", "factor:30", 0, 2, True),
        (">", "abs:0.05", 0.87, 0.81, True),
        (">", "abs:0.05", 0.86, 0.82, False),
        (">", "abs:20", 97.9, 77.9, True),
        ("~", "pct:10", 0.78, 0.71, True),
        ("~", "pct:10", 0.79, 0.71, False),
    ],
)
def test_relations_and_margins(relation, margin, left, right, expected):
    assert compare(claim(relation, margin=margin), left, right, None) is expected


def test_a_claim_about_an_alias_is_tested_on_what_runs_under_its_one_id(measure):
    rows = measure(method="rcsb-c", value=2.0), measure(method="dime", value=3.0)
    for one in (claim(left_method="rcsb"), claim(">", "rcsb", left_method="dime")):
        found = verdict(one, *rows)
        assert found.state == "holds"
        assert found.claim == one


def test_equality_is_of_the_printed_decimals():
    assert compare(claim("="), 99.97, 100.0, 1)
    assert not compare(claim("="), 99.9, 100.0, 1)


def test_claims_of_celeba_are_tested_on_synthfaces():
    assert place(claim(), "synthfaces") == Group("synthfaces", "smile")
    assert place(claim(), "digits") is None
    assert place(claim(dataset="celebahq"), "synthfaces") is None


def test_a_pair_holds_or_fails_with_both_figures(measure):
    ours, theirs = measure(value=1.0), measure(value=2.0, method="dime")
    found = verdict(claim(), ours, theirs)
    assert (found.state, found.left, found.right) == ("holds", "1.00", "2.00")
    assert verdict(claim(">"), ours, theirs).state == "fails"


def test_intervals_are_shown_and_their_overlap_said(measure):
    ours = measure("fr", 98.0, lo=95.0, hi=99.0)
    theirs = measure("fr", 97.0, lo=94.0, hi=98.5, method="dime")
    found = verdict(claim(">", metric="fr"), ours, theirs)
    assert found.left == "98.0 [95.0, 99.0]"
    assert found.remark == "95 % intervals overlap"


def test_figures_of_different_images_do_not_meet(measure):
    found = verdict(claim(), measure(images=256), measure(images=32, method="dime"))
    assert (found.state, "different images" in found.remark) == ("not measured", True)


def test_a_pair_is_compared_on_the_images_both_have(measure):
    rows = [measure(value=5.0, images=256), measure(value=1.0, images=32)]
    found = verdict(claim(), *rows, measure(value=2.0, images=32, method="dime"))
    assert (found.state, found.images) == ("holds", 32)


def test_a_rank_needs_three_methods(measure):
    one = claim("rank<=", "1")
    two = [measure(value=1.0), measure(value=2.0, method="dime")]
    assert verdict(one, *two).state == "not measured"
    found = verdict(one, *two, measure(value=3.0, method="fastdime"))
    assert (found.state, found.remark) == ("holds", "rank 1 of 3 measured methods")


def test_ablations_and_other_implementations_have_no_rank(measure):
    rows = [measure(value=5.0 + i, method=m) for i, m in enumerate(("maskdime", "dime"))]
    rows += [measure(value=1.0, method=m) for m in ("maskdime-released", "fixed-mask")]
    found = verdict(claim("rank<=", "1"), *rows, measure(value=9.0, method="fastdime"))
    assert (found.state, found.remark) == ("holds", "rank 1 of 3 measured methods")


def test_claims_about_ace_are_judged_on_its_runs_and_not_on_its_ablations(measure):
    named = [one for one in published.claims() if "ace-l1" in one.right_method_or_value]
    on_faces = [one for one in named if place(one, "synthfaces") is not None]
    metrics = {one.metric: one.metric for one in on_faces} | {
        "total_time_s": "time",
        "peak_memory_mb": "peak_memory",
    }
    methods = {one.left_method for one in on_faces} | {"ace-l1"}
    rows = [
        measure(metric, float(1 + (method == "ace-l1")), method=method, task=task)
        for metric in metrics.values()
        for method in methods
        for task in ("smile", "age")
    ]
    assert len(on_faces) > 4
    for one in on_faces:
        assert verdict(one, *rows).state in ("holds", "fails")
        others = [row for row in rows if row.method != "ace-l1"]
        spoiled = [*others, measure(metrics[one.metric], 5.0, method="ace-l1-pre")]
        assert verdict(one, *spoiled).remark == "no figure of ACE ℓ1"


def test_ties_share_the_better_rank(measure):
    rows = [measure("fr", 100.0, method=m) for m in ("maskdime", "dime", "fastdime")]
    assert verdict(claim("rank<=", "1", metric="fr"), *rows).state == "holds"


def test_the_direction_of_a_rank_is_the_metrics(measure):
    rows = [measure("cout", v, method=m) for v, m in ((0.1, "maskdime"), (0.5, "dime"))]
    found = verdict(
        claim("rank<=", "1", metric="cout"), *rows, measure("cout", 0, method="fastdime")
    )
    assert (found.state, found.right) == ("fails", "best: DiME 0.50")


@pytest.mark.parametrize(("power", "state"), [(1.02, "holds"), (1.98, "fails")])
def test_complexity_is_measured(measure, power, state):
    one = claim("=", "O(T)", metric="complexity")
    assert verdict(one, measure("complexity", power)).state == state


def test_network_evaluations_are_those_of_one_try(measure):
    one = claim("~", "1800", "pct:5", metric="network_evaluations", left_method="dime", task="")
    assert verdict(one, measure("nfe_per_try", 1830.0, method="dime")).state == "holds"


def test_metrics_of_no_protocol_are_not_measured(measure):
    found = verdict(claim(metric="fid_plus"), measure())
    assert found.remark == "fid_plus is no metric of ace-2023/1"


def test_methods_we_lack_are_named(measure):
    found = verdict(claim(right="repaint"), measure())
    assert found.remark == "RePaint is no method of this benchmark"


def test_another_protocol_does_not_count(measure):
    found = verdict(claim("=", "1.0"), measure(protocol="ace-2022/0"))
    assert found.state == "not measured"
