"""Tables: layouts, ranks, differences, notes, formats."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from vcebench.errors import UserError
from vcebench.results.tables.build import build
from vcebench.results.tables.datasets import TITLE, data_table, data_text
from vcebench.results.tables.layouts import LAYOUTS, Group, layout, on_dataset
from vcebench.results.tables.model import Cell, Row, ranked
from vcebench.results.tables.names import column, figure_text
from vcebench.results.tables.render import FORMATS, render


def table(number: str, *measured, dataset=None, source="maskdime", tasks=(), fill=(), **options):
    original = layout(number, source)
    shown = on_dataset(original, dataset, tasks) if dataset else original
    return build(shown, original, measured, fill, **options)


def cells(document, method: str, measured: bool = True) -> dict[str, Cell]:
    row = next(
        row
        for panel in document.panels
        for row in panel.rows
        if row.method == method and row.measured == measured
    )
    return {cell.column.metric: cell for cell in reversed(row.cells)}  # the first group's


def notes(document) -> str:
    return "\n".join(document.notes)


@pytest.mark.parametrize("entry", LAYOUTS, ids=lambda entry: f"{entry.source}-{entry.number}")
@pytest.mark.parametrize("form", FORMATS)
def test_every_table_prints_its_published_rows(entry, form):
    text = render(build(entry, entry, ()), form)
    assert "DiME" in text or "ECED" in text or "RCSB" in text or "method" in text


def test_rows_and_columns_are_in_the_papers_order():
    text = render(table("1"), "github")
    smile = text.split("CelebA, Smile")[1].split("CelebA, Age")[0]
    methods = re.findall(r"^\| ([\w -]+\+?(?: ℓ\d)?) ", smile, re.M)
    assert [name.strip() for name in methods] == [
        *("Method", "DiVE", "DiVE-100", "STEEX", "DiME", "ACE ℓ1", "ACE ℓ2", "FastDiME"),
        *("FastDiME-2", "FastDiME-2+", "RCSB", "MaskDiME"),
    ]
    assert re.findall(r"\| +([A-Za-z ()]+) [↑↓]", smile) == [
        *("FID", "sFID (split)", "FVA", "FS", "MNAC", "CD", "COUT", "FR")
    ]


def test_published_values_stay_as_printed():
    assert "100.0" in render(table("1"), "github")
    assert "O(T^2)" in render(table("7"), "github")


def test_best_is_bold_and_second_emphasised_without_html():
    text = render(table("1"), "github")
    assert "**0.71**" in text
    assert "_1.27_" in text
    assert not re.search(r"</?[a-z]+>", text)
    assert "<u>1.27</u>" in render(table("1"), "html")


def test_equal_bests_are_both_marked_and_the_next_is_second():
    def row(value: float) -> Row:
        cell = Cell(Group("celeba", "smile"), column("fr"), str(value), value, peers=1)
        return Row("x", "x", False, (cell,))

    assert [r.cells[0].rank for r in ranked([row(9), row(9), row(8), row(7)])] == [1, 1, 2, 0]


def test_what_is_printed_alike_is_marked_alike():
    def row(value: float) -> Row:
        text = f"{value:.1f}"
        cell = Cell(Group("celeba", "smile"), column("fr"), text, value, peers=1)
        return Row("x", "x", False, (cell,))

    rows = ranked([row(99.96), row(100), row(99.4), row(99.36)])
    assert [r.cells[0].rank for r in rows] == [1, 1, 2, 2]


def test_memory_is_in_the_papers_unit(measure):
    document = table("7", measure("peak_memory", 1000.0, dataset="celeba"))
    (cell,) = (c for c in cells(document, "maskdime").values() if c.measured is not None)
    assert (cell.column.title, cell.text) == ("Peak memory (MB)", "1049")
    assert cell.difference == "+84"  # the paper prints 965 MB
    assert "MB: a million bytes" in notes(document)


def test_the_paragraph_on_diversity_is_a_table(measure):
    document = table("diversity", measure("sigma_l", 0.04, dataset="celeba"))
    text = render(document, "github")
    assert "Diversity on CelebA" in text
    assert "0.2139" in text
    assert cells(document, "maskdime")["sigma_l"].difference == "+0.0005"


def test_a_figure_without_a_peer_has_no_rank(measure):
    found = cells(table("4", measure("fid", 1.0), dataset="synthfaces"), "maskdime")
    assert found["fid"].rank == 0


def test_only_rows_of_equal_images_compare(measure):
    document = table(
        "1",
        measure("fid", 1.0, images=256),
        measure("fid", 2.0, images=256, method="fastdime"),
        measure("fid", 0.1, images=32, method="dime"),
        dataset="synthfaces",
    )
    ranks = {m: cells(document, m)["fid"].rank for m in ("maskdime", "fastdime", "dime")}
    assert ranks == {"maskdime": 1, "fastdime": 2, "dime": 0}


def test_numbers_of_images_nobody_needs_are_left_out(measure):
    document = table(
        "4", measure(images=256), measure(images=64), measure(images=3), dataset="synthfaces"
    )
    assert [row.images for row in document.panels[0].rows] == [256]


def test_different_backbones_are_marked_and_never_ranked(measure):
    document = table(
        "4",
        measure("fid", 1.0, backbone="net A"),
        measure("fid", 2.0, backbone="net B", method="fixed-mask"),
        dataset="synthfaces",
    )
    first, second = (cells(document, m)["fid"] for m in ("maskdime", "fixed-mask"))
    assert {first.mark, second.mark} == {"a", "b"}
    assert first.rank == second.rank == 0
    assert "a: computed with net B" in notes(document)  # fixed-mask stands first


def test_times_of_different_devices_do_not_compare(measure):
    document = table(
        "7",
        measure("time", 1.0, device="CPU x"),
        measure("time", 2.0, device="CPU y", method="fastdime"),
        dataset="synthfaces",
    )
    assert cells(document, "maskdime")["time"].rank == 0


def test_another_protocol_is_left_out_and_named(measure):
    document = table("4", measure(protocol="ace-2022/0"), dataset="synthfaces")
    assert not document.panels[0].rows
    assert "protocol ace-2022/0 are left out" in notes(document)


def test_measured_rows_show_the_difference_to_the_published_value(measure):
    document = table("4", measure("fid", 0.74, dataset="celeba", images=1000))
    assert cells(document, "maskdime")["fid"].difference == "+0.03"
    text = render(document, "github")
    assert "MaskDiME (measured, 1000 images)" in text
    assert "0.74 (+0.03)" in text


def test_embedded_sets_stand_under_their_own_name(measure):
    document = table("1", measure(), dataset="synthfaces")
    text = render(document, "github")
    assert "synthfaces, Smile" in text
    assert "no reproduction" in text
    assert not [row for panel in document.panels for row in panel.rows if not row.measured]


def test_digits_fill_the_layout_of_the_imagenet_pairs():
    shown = on_dataset(layout("3"), "digits")
    assert [group.task for group in shown.groups] == ["3-8", "4-9", "1-7"]


def test_an_embedded_set_without_a_place_fills_the_table_with_its_own_task():
    shown = on_dataset(layout("4"), "digits", ("3-8", "4-9"))
    assert shown.groups == (Group("digits", "3-8"),)


def test_a_data_set_the_table_is_not_about_is_an_error():
    with pytest.raises(UserError, match="about imagenet"):
        on_dataset(layout("3"), "celeba")


def test_an_unknown_table_is_an_error():
    with pytest.raises(UserError, match=r"no table '9'"):
        layout("9")


def test_a_missing_figure_is_a_dash_with_its_reason(measure):
    document = table(
        "4", measure(), measure("cd", None, note="no flipped image"), dataset="synthfaces"
    )
    assert cells(document, "maskdime")["cd"].text == "–"
    assert "–: CD: no flipped image." in notes(document)


def test_samplers_that_are_only_printed_say_why():
    text = notes(table("2", source="rcsb"))
    assert "RePaint, MCG, DDRM: printed rows only. How guidance was put into them is not" in text
    assert "printed rows only" not in notes(table("1"))


def test_notes_say_n_device_and_seed(measure):
    text = notes(table("4", measure(n=250), dataset="synthfaces"))
    for part in ("256 images (flipped 250)", "CPU fake, 1 thread", "Seed: 0", "ace-2023/1"):
        assert part in text


def test_an_empty_table_says_what_would_fill_it():
    fill = [["vcebench sweep --table 4", "vcebench run --method maskdime"]]
    text = notes(table("4", dataset="synthfaces", fill=fill))
    assert "`vcebench sweep --table 4` would fill it" in text
    assert "`vcebench run --method maskdime`" in text


def test_metrics_the_layout_lacks_stand_below(measure):
    document = table("4", measure(), measure("gt_iou", 0.5), dataset="synthfaces")
    assert document.panels[1].title.endswith("metrics the paper's table lacks")
    assert [c.metric for c in document.panels[1].columns] == ["gt_iou"]


def test_ablations_stay_out_of_the_tables_of_systems(measure):
    document = table("1", measure(), measure(method="fixed-mask"), dataset="synthfaces")
    assert [row.method for row in document.panels[0].rows] == ["maskdime"]


def test_intervals_are_shown_when_asked_for(measure):
    one = measure("fr", 98.0, lo=96.0, hi=99.5)
    assert "98.0 [96.0 … 99.5]" in render(
        table("4", one, dataset="synthfaces", intervals=True), "github"
    )


def test_complexity_is_measured_as_a_power(measure):
    assert figure_text("complexity", 1.98, 2) == "O(T^2)"
    document = table("7", measure("complexity", 1.98), dataset="synthfaces")
    assert cells(document, "maskdime")["complexity"].text == "O(T^2)"


def test_csv_and_json_hold_the_same_tidy_cells(measure):
    document = table("4", measure("fid", 0.74, dataset="celeba", n=9))
    lines = list(csv.DictReader(io.StringIO(render(document, "csv"))))
    content = json.loads(render(document, "json"))
    assert len(lines) == len(content["cells"]) == 36 + 1
    (mine,) = [cell for cell in content["cells"] if cell["origin"] == "measured"]
    assert (mine["value"], mine["difference"], mine["published"], mine["n"]) == (
        0.74,
        0.03,
        0.71,
        9,
    )


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_balanced_and_escaped(measure):
    text = render(table("4", measure(note="<script>"), dataset="synthfaces"), "html")
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert "<script>" not in text


def columns_of(line: str) -> int:
    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    plain = re.sub(r"\\&", "", line).count("&") + 1
    return plain + sum(spans) - len(spans)


@pytest.mark.parametrize("entry", LAYOUTS, ids=lambda entry: f"{entry.source}-{entry.number}")
def test_latex_is_well_formed(entry, measure):
    group = next((g for g in entry.groups if g.dataset), None)
    rows = [measure(entry.metrics[0], 1.0, dataset=group.dataset, task=group.task)] if group else []
    text = render(build(entry, entry, rows), "latex")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") >= 1
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == text.count(r"\begin{tabular}")
    for block in re.findall(r"\\begin\{tabular\}\{(l[r]*)\}\n(.*?)\\end\{tabular\}", text, re.S):
        lines = [line for line in block[1].splitlines() if line.endswith(r"\\")]
        assert {columns_of(line) for line in lines} == {len(block[0])}
        assert block[1].count("{") == block[1].count("}")
    assert not re.search(r"(?<!\\)[%#_](?! Table)", text.split("\n", 1)[1])
    assert not set(text) & set("ℓρσ↑↓–")


def test_latex_marks_best_and_second():
    text = render(table("1"), "latex")
    assert r"\textbf{0.71}" in text
    assert r"\underline{1.27}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path):
    body = "\n\n".join(render(build(entry, entry, ()), "latex") for entry in LAYOUTS)
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\tiny\n"
    (tmp_path / "t.tex").write_text(f"{head}{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_table_6_lists_published_and_embedded_data_sets():
    text = data_text(data_table(), TITLE, "github")
    assert "CelebA-HQ" in text
    assert "digits (embedded)" in text


def test_table_6_of_an_unknown_data_set_is_an_error():
    with pytest.raises(UserError, match="does not know 'mnist'"):
        data_table("mnist")
