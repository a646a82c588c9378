"""Figures: what is drawn, from which numbers, and what is said when it cannot be drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from vcebench.commands.figures import figures as command
from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.showing import figuredata, figures
from vcebench.showing.figures import Curves, Film, Panel, Point, Tries, encode

STEPS = 12


def film(steps: int = STEPS) -> Film:
    rng = np.random.default_rng(0)
    outer = rng.random((steps, 8, 8)) > 0.5
    return Film("A", range(steps, 0, -1), rng.random((steps, 3, 8, 8)), outer, outer)


def write_trace(folder, image_id: str = "fake-00000") -> None:
    (folder / "trace").mkdir(exist_ok=True)
    content = {
        "index": torch.arange(STEPS - 1, -1, -1),
        "z": torch.rand(STEPS, 3, 8, 8),
        "x_t": torch.rand(STEPS, 3, 8, 8),
        "mask_z": torch.ones(STEPS, 1, 8, 8, dtype=torch.bool),
        "mask_x": torch.zeros(STEPS, 1, 8, 8, dtype=torch.bool),
    }
    safetensors.torch.save_file(content, folder / "trace" / f"{image_id}.safetensors")


def test_efficiency_shows_time_fid_and_memory_as_area():
    points = [Point("A", 10, 1, 100), Point("B", 1000, 2, 400)]
    (axes,) = figures.efficiency(points, "t").axes
    areas = [collection.get_sizes()[0] for collection in axes.collections]
    assert areas[1] == 4 * areas[0]
    assert axes.get_xscale() == "log"


def test_printed_efficiency_is_the_papers_figure():
    points = {point.label: point for point in figuredata.printed_points()}
    assert points["MaskDiME"] == Point("MaskDiME", 1147, 0.71, 965)
    assert {"DiME", "ACE ℓ1", "FastDiME-2+", "RCSB"} <= points.keys()


def test_measured_efficiency_joins_time_and_fid_of_different_runs(measure):
    rows = [
        measure("time", 5.0, images=20),
        measure("peak_memory", 800.0, images=20),
        measure("fid", 2.0, images=256),
        measure("fid", 3.0, images=32),
    ]
    other = [
        measure("time", 50.0, images=20, method="dime"),
        measure("peak_memory", 900.0, images=20, method="dime"),
        measure("fid", 7.0, images=32, method="dime"),
    ]
    assert figuredata.points_of(rows, "smile") == [Point("MaskDiME", 5.0, 2.0, 800.0)]
    found = {p.label: p.fid for p in figuredata.points_of(rows + other, "smile")}
    assert found == {"DiME": 7.0, "MaskDiME": 3.0}


def test_heat_maps_have_two_lines_a_method_and_spread_the_steps():
    drawn = figures.heat_maps([film(), film(3)], "t")
    assert len(drawn.axes) == 2 * 2 * figures.STEPS_SHOWN
    titles = [axes.get_title() for axes in drawn.axes if axes.get_title()]
    assert titles[0] == "i = 12"
    assert len(titles) == figures.STEPS_SHOWN + 3


def test_ladder_stacks_what_flipped_and_what_did_not():
    tries = Tries("A", [8, 8, 15], [60, 60, 180], [True, True, False])
    left, right = figures.ladder([tries]).axes
    assert [patch.get_height() for patch in left.patches] == [2, 0, 0, 1]
    assert sum(patch.get_height() for patch in right.patches) == 3


def test_correlation_bars_say_the_cd():
    labels, changes = np.array([1.0, 0.5]), {"A": np.array([1.0, 0.0])}
    (axes,) = figures.correlation_bars(["q", "a"], labels, changes, "q").axes
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["labels", "A (CD 0.50)"]


def test_cout_curves_show_both_classes():
    fractions = np.linspace(0, 1, 5)
    values = np.tile(fractions, (4, 1))
    (axes,) = figures.cout_curves([Curves("A", fractions, values, 1 - values)]).axes
    assert [line.get_label() for line in axes.lines] == ["A, target", "A, source"]


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_files_can_be_written_in_every_format(form):
    content = encode(figures.ladder([Tries("A", [8], [60], [True])]), form)
    assert content[:4] in (b"\x89PNG", b"<?xm", b"%PDF")


def test_equal_figures_are_equal_bytes():
    once, again = (encode(figures.heat_maps([film(2)], "t"), "png") for _ in range(2))
    assert once == again


def test_traces_are_read_from_the_run_folder(tmp_path, fake_run):
    folder = fake_run(tmp_path / "run")
    write_trace(folder)
    read = figuredata.film_of(RunFolder(folder), "fake-00000")
    assert (read.label, list(read.indices)[:2]) == ("MaskDiME", [11, 10])
    assert read.estimates.shape == (STEPS, 3, 8, 8)
    assert read.outer.all()
    assert not read.inner.any()


def test_an_image_traced_in_all_runs_is_chosen(tmp_path, fake_run):
    runs = [RunFolder(fake_run(tmp_path / name)) for name in "ab"]
    for run, ids in zip(runs, (("fake-00000", "fake-00001"), ("fake-00001",)), strict=True):
        for image_id in ids:
            write_trace(run.path, image_id)
    assert figuredata.common_image(runs) == "fake-00001"
    with pytest.raises(UserError, match="fake-00000 is not traced in every run"):
        figuredata.common_image(runs, "fake-00000")


def test_a_damaged_trace_is_named(tmp_path, fake_run):
    folder = fake_run(tmp_path / "run")
    write_trace(folder)
    (folder / "trace" / "fake-00000.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="is damaged"):
        figuredata.film_of(RunFolder(folder), "fake-00000")


def test_the_command_prints_its_files(tmp_path, capsys):
    command(folders=None, output=tmp_path / "out", dataset=None, runs=tmp_path, image=None)
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'efficiency.png'}\n"


def test_the_field_is_drawn_from_what_is_committed(tmp_path, capsys):
    about = {"folders": None, "output": tmp_path / "out", "runs": tmp_path, "image": None}
    command(dataset="digits", task="3-8", **about)
    assert f"{tmp_path / 'out' / 'field.png'}\n" in capsys.readouterr().out
    with pytest.raises(UserError, match="nothing could be drawn"):
        command(dataset="digits", task="3-9", **about)
    assert "no field: nothing is measured on digits 3-9; use 3-8, " in capsys.readouterr().err
    with pytest.raises(UserError, match="nothing could be drawn"):
        command(dataset="celeba", **about)
    assert "no field: the field is one of embedded sets: " in capsys.readouterr().err


def test_what_cannot_be_drawn_is_said_with_its_reason(tmp_path, fake_run, capsys):
    run = fake_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["config"]["trace"] == 0
    command(folders=[run], output=tmp_path / "out", dataset=None, runs=tmp_path, image=None)
    captured = capsys.readouterr()
    assert "ladder.png" in captured.out
    assert "no heat-maps: no image is traced in every run" in captured.err


def test_runs_of_different_tasks_are_refused(tmp_path, fake_run):
    runs = [fake_run(tmp_path / "a"), fake_run(tmp_path / "b", task="4-9")]
    with pytest.raises(UserError, match="digits 3-8 and digits 4-9"):
        command(folders=runs, output=tmp_path, dataset=None, runs=tmp_path, image=None)


def test_agreement_maps_write_every_number_and_embolden_what_is_sure():
    panel = Panel("all", [[0.5, None], [-0.25, 0.0]], [[(0.1, 0.9), None], [(-0.9, 0.4), (0, 0)]])
    figure = figures.agreement_maps([panel, panel], ["FID", "COUT"], ["GT IoU", "Oracle FR"])
    first, second, bar = figure.axes
    assert [text.get_text() for text in first.texts] == ["+0.50", "-0.25", "+0.00"]
    assert [text.get_weight() for text in first.texts] == ["bold", "normal", "normal"]
    assert [t.get_position() for t in second.texts] == [(0, 0), (0, 1), (1, 1)]
    assert bar.get_ylabel() == "Spearman's ρ"
    assert encode(figure, "png").startswith(b"\x89PNG")
