"""The pages of the field: what is measured stands there, what is not is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import fieldpages, fieldquestions
from benchmarks.field import PAGES, PICTURE, filled
from vcebench.jobs.field import FIELD, field_plan
from vcebench.jobs.fieldrows import FIGURES
from vcebench.methods.registry import METHODS
from vcebench.results.collection import Collection, all_measured
from vcebench.results.measurements import Measurement
from vcebench.results.published import claims as every_claim
from vcebench.results.published import figures as every_figure
from vcebench.settings.config import PROTOCOL

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ground(monkeypatch):
    """Digits with made-up rows: ground(row("fr", 90.0), …)."""

    def make(*rows):
        monkeypatch.setattr(fieldpages, "gather", lambda dataset, stored: Collection(rows))
        monkeypatch.setattr(fieldpages, "committed_usual", lambda dataset: [])
        return fieldpages.Ground("digits")

    return make


def row(metric, value, method="maskdime", task="3-8", images=64, lo=None, hi=None):
    """A figure of digits that nobody measured."""
    texts = dict.fromkeys(
        ("population", "backbone", "seed", "device", "commit", "date", "note"), ""
    )
    return Measurement(
        *("digits", task, method, metric, value, lo, hi, images, images),
        **texts,
        protocol=PROTOCOL,
    )


def test_marks_are_filled_and_nothing_else_changes():
    page = "above\n<!-- field:ten -->\nold\n<!-- field:end -->\nbelow\n"
    once = filled(page, {"ten": "new"})
    assert once == "above\n<!-- field:ten -->\nnew\n<!-- field:end -->\nbelow\n"
    assert filled(once, {"ten": "new"}) == once
    with pytest.raises(KeyError):
        filled(page, {})


def test_the_pages_ask_for_what_there_is_and_show_the_picture():
    names = set(re.findall(r'^        "(\w+)":', Path(fieldquestions.__file__).read_text(), re.M))
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        asked = set(re.findall(r"<!-- field:(\w+) -->", text)) - {"end"}
        assert asked <= names
        assert Path(PICTURE).name in text


def test_a_row_has_its_cost_and_its_intervals(ground):
    found = ground(
        row("nfe", 130.0),
        row("backward_per_image", 125.0),
        row("oracle_fr", 56.25, lo=43.75, hi=68.75),
    )
    text = fieldpages.rows([found])
    assert "| `maskdime` | guided denoising (DiME's) | 255 " in re.sub(r" +", " ", text)
    assert "56.2 [43.8, 68.8]" in text
    assert "the first 64 images of `test`" in text


def test_a_cost_that_was_not_counted_is_not_guessed(ground):
    assert "| –" in fieldpages.rows([ground(row("nfe", 60.0), row("fr", 100.0))])


def test_what_is_missing_is_named_with_its_reason(ground):
    text = fieldpages.rows([ground(row("fr", 100.0))])
    first, *_ = text.split("### digits, 3-8-robust")
    assert "Not measured yet: `fastdime`" in first
    assert "`rcsb-truth`: the true region of digits 3-8 is not known" in first
    assert "`maskdime`" not in first.partition("Not measured yet")[2].partition("\n")[0]


def test_flips_stand_beside_what_the_oracle_says(ground):
    rows = [row("fr", 100.0), row("oracle_fr", 90.6)]
    rows += [row("fr", 98.4, task="3-8-plain"), row("oracle_fr", 29.7, task="3-8-plain")]
    text = re.sub(r" +", " ", fieldquestions.plain([ground(*rows)]))
    assert "| digits | `maskdime` | 100 → 91 | 98 → 30 | – |" in text


def test_pairs_are_compared_on_equal_images_only(ground):
    without = [row("cout", 0.7, method="fastdime"), row("cout", 0.6, method="fastdime", images=32)]
    assert "Nothing" in fieldquestions.masks([ground(*without)])
    text = fieldquestions.masks([ground(*without, row("cout", 0.8, "fastdime-2plus", images=32))])
    assert "0.6 → 0.8" in text
    assert "0.7" not in text


def test_the_grid_has_what_the_oracle_and_the_truth_say_of_every_method(ground):
    rows = [row("oracle_fr", 90.6), row("gt_precision", 0.414), row("oracle_fr", 30.2, task="4-9")]
    costs = [row("nfe", n, task=t) for n, t in ((60.0, "3-8"), (72.4, "3-8-plain"))]
    costs += [row("backward_per_image", 0.0, task=t) for t in ("3-8", "3-8-plain")]
    plain = row("oracle_fr", 0.0, task="3-8-plain")
    text = re.sub(r"\s+", " ", fieldpages.grid([ground(*rows, *costs, plain)]))
    assert "| method | evaluations | 3-8 | 3-8-plain |" in text
    assert "| `maskdime` | 60–72 | 91 · 0.41 | 0 |" in text
    assert "| `dime` | – | – | – |" in text


def test_metrics_are_ranked_among_the_methods_of_a_task(ground):
    names = ("maskdime", "fastdime", "dvce", "svce", "pgd")
    said = dict(zip(names, (1.0, 2.0, 3.0, 4.0, 9.0), strict=True))
    seen = dict(zip(names, (1.0, 2.0, 3.0, 4.0, 0.0), strict=True))
    rows = [row("fr", said[name], name) for name in names]
    rows += [row("oracle_fr", seen[name], name) for name in names]
    whole, without = fieldquestions.ranks([ground(*rows)]).split("digits, without pgd:")
    assert "digits, all methods:" in whole
    assert re.search(r"\| FR +\| .*-?0\.00 \[", whole)
    assert re.search(r"\| FR +\| \*\*\+1\.00 \[.* \| +4 ", without)
    assert "plain classifiers alone" not in without


def test_methods_of_codes_stand_beside_maskdime(ground):
    assert "No method" in fieldquestions.codes([ground(row("off_target", 0.005))])
    text = fieldquestions.codes([ground(row("l1", 0.5), row("l1", 0.9, "dive"))])
    assert text.index("`dive`") < text.index("`maskdime`")


def test_every_system_of_the_papers_is_here_or_there_is_a_reason():
    named = {c.left_method for c in every_claim()} | {f.method for f in every_figure()}
    assert named <= METHODS.keys() | fieldquestions.NOT_HERE.keys()
    text = fieldquestions.systems([fieldpages.Ground("digits")])
    assert "printed rows only" in text
    assert "DVCE" in text


def test_claims_are_counted_as_often_as_they_are_tested():
    text = fieldquestions.claims([fieldpages.Ground("synthroads")])
    (line,) = text.splitlines()[2:]
    assert sum(int(n) for n in re.findall(r"\d+", line)) == sum(
        claim.dataset == "bdd100k" for claim in every_claim()
    )
    assert all_measured("synthroads", []).rows


def test_the_first_ten_stand_there_measured_or_not(ground):
    text = fieldpages.ten(ground(row("oracle_fr", 50.0)))
    lines = text.splitlines()[2:12]
    assert len(lines) == 10
    assert len({line.split("|")[1] for line in lines}) == 10


def test_the_file_has_every_column_that_a_page_shows():
    assert set(fieldpages.SHOWN) <= set(FIGURES)
    assert {w.method for w in field_plan("digits").planned} <= set(FIELD)
