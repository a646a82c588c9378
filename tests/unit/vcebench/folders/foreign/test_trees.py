"""The trees of DiME's line: every trap that a folder of somebody's experiments may hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from foreign_trees import THREE, Image8, ace, dime, image, plain, write_tree

from vcebench.errors import UserError
from vcebench.folders.foreign.pairs import Found
from vcebench.folders.foreign.summaries import checks
from vcebench.folders.foreign.trees import (
    LAYOUTS,
    chosen_experiment,
    detected,
    experiments,
    read_tree,
)


def read(root: Path, layout: str = "ace", exp: str = "e", **options) -> Found:
    return read_tree(root, LAYOUTS[layout], exp, **options)


def test_ace_says_target_label_and_flip_by_info(tmp_path):
    found = read(ace(tmp_path))
    assert [p.id for p in found.pairs] == ["0000000", "0000001", "0000002"]
    assert [p.target for p in found.pairs] == [0, 1, 1]
    assert [p.label == p.prediction for p in found.pairs] == [True, False, True]
    assert [p.flipped for p in found.pairs] == [True, True, False]
    assert [p.position for p in found.pairs] == [0, 1, 2]
    assert found.pairs[1].input == "Original/Incorrect/0000001.png"


def test_ace_has_two_parts_and_says_so(tmp_path):
    found = read(ace(tmp_path))
    assert found.part == "explanation"
    assert "pre-explanation" in found.notes[0]
    before = read(tmp_path, part="pre-explanation")
    assert [p.flipped for p in before.pairs] == [True, True, True]
    with pytest.raises(UserError, match="no part 'refined'; use explanation, pre-explanation"):
        read(tmp_path, part="refined")


def test_experiments_are_found_at_any_depth(tmp_path):
    ace(tmp_path)
    dime(tmp_path)
    assert experiments(tmp_path) == ["e", "exp/name"]
    with pytest.raises(UserError, match="several experiments: choose one with --exp: e, exp/name"):
        chosen_experiment(tmp_path, None)
    assert chosen_experiment(tmp_path, "exp/name/") == "exp/name"


def test_a_misspelt_experiment_gets_the_nearest_names(tmp_path):
    dime(tmp_path)
    with pytest.raises(UserError, match="no experiment 'exp/nam'; did you mean exp/name"):
        chosen_experiment(tmp_path, "exp/nam")


def test_the_only_experiment_need_not_be_named(tmp_path):
    assert chosen_experiment(ace(tmp_path), None) == "e"


@pytest.mark.parametrize("wanted", ["../e", "/etc", "e/../../.."])
def test_an_experiment_cannot_lead_out_of_the_folder(tmp_path, wanted):
    with pytest.raises(UserError, match="no experiment"):
        chosen_experiment(ace(tmp_path), wanted)


@pytest.mark.parametrize("layout", ["ace", "dime", "fastdime", "time"])
def test_layouts_are_told_by_their_files(tmp_path, layout):
    part = "explanation" if layout == "ace" else None
    write_tree(tmp_path, layout, THREE, part=part)
    assert detected(tmp_path, "e").id == layout


def test_maskdime_looks_like_dime(tmp_path):
    assert detected(dime(tmp_path, "maskdime"), "exp/name").id == "dime"
    named, plain_dime = (read(tmp_path, layout, "exp/name") for layout in ("maskdime", "dime"))
    assert named.pairs == plain_dime.pairs
    assert named.layout == "maskdime"


def test_info_is_read_by_key_not_by_line(tmp_path):
    write_tree(tmp_path, "fastdime", THREE, shortcut=True)
    assert detected(tmp_path, "e").id == "fastdime"
    assert [p.target for p in read(tmp_path, "fastdime").pairs] == [0, 1, 1]


def test_pickles_and_stored_steps_are_never_opened(tmp_path):
    found = read(dime(tmp_path), "dime", "exp/name")
    checks(found)
    assert len(found.pairs) == 3
    assert not (tmp_path / "pwned").exists()


def test_an_image_in_two_cells_is_refused_by_name(tmp_path):
    write_tree(tmp_path, "time", [image(3, 1, 1, 0, 0)])
    write_tree(tmp_path, "time", [image(3, 1, 1, 0, 1)])
    with pytest.raises(UserError, match=r"1 images lie in several cells.*0000003.*--keep newest"):
        read(tmp_path, "time")
    old = tmp_path / "Results/e/CC/CCF/Info/0000003.txt"
    os.utime(old, (1, 1))
    found = read(tmp_path, "time", keep="newest")
    assert [p.flipped for p in found.pairs] == [False]
    assert "newest" in found.notes[0]


def test_an_original_on_both_sides_is_taken_from_the_rows_own(tmp_path):
    ours = Image8(4, 1, 0, 1, 1, plain(90), plain(120))
    write_tree(tmp_path, "time", [ours])
    (tmp_path / "Original/Correct/0000004.png").write_bytes(b"of another experiment")
    found = read(tmp_path, "time")
    assert found.pairs[0].input == "Original/Incorrect/0000004.png"
    assert found.notes == (
        "1 originals lie in Correct and in Incorrect; the row's own side is taken",
    )


def test_unfinished_and_incomplete_images_are_left_out_with_the_reason(tmp_path):
    base = write_tree(tmp_path, "time", [image(n, 1, 1, 0, 0) for n in (0, 5, 7, 9)])
    (base / "CC/CCF/Info/0000005.txt").unlink()
    (base / "CC/CCF/Info/0000007.txt").write_text("label: 1.0\npred: 1.0\ncf pred: 0.0")
    (tmp_path / "Original/Correct/0000009.png").unlink()
    (base / "CC/CCF/CF/thumbs.db").write_bytes(b"")
    found = read(tmp_path, "time")
    assert [p.id for p in found.pairs] == ["0000000"]
    assert found.left_out == {
        "CC/CCF/CF/thumbs.db": "no number with the ending .png",
        "0000005": "unfinished: it has no Info",
        "0000007": "its Info says no target",
        "0000009": "no Original/Correct/0000009.png",
    }


@pytest.mark.parametrize("value", ["nan", "inf", "0.5", "", "1e3", "one"])
def test_a_class_has_to_be_a_whole_number(tmp_path, value):
    base = write_tree(tmp_path, "time", [image(1, 1, 1, 0, 0)])
    (base / "CC/CCF/Info/0000001.txt").write_text(f"label: 1\npred: 1\ntarget: {value}\ncf pred: 0")
    assert read(tmp_path, "time").left_out == {"0000001": "its Info says no target"}


def test_an_info_of_megabytes_is_not_read(tmp_path):
    base = write_tree(tmp_path, "time", [image(1, 1, 1, 0, 0)])
    (base / "CC/CCF/Info/0000001.txt").write_text("label: 1\n" * 500_000)
    assert "larger than 4096" in read(tmp_path, "time").left_out["0000001"]


def test_links_are_not_followed(tmp_path):
    base = write_tree(tmp_path, "time", THREE)
    picture = base / "CC/CCF/CF/0000000.png"
    picture.unlink()
    picture.symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="is a link"):
        read(tmp_path, "time")


def test_a_linked_folder_is_not_followed(tmp_path):
    base = write_tree(tmp_path / "real", "time", THREE)
    write_tree(tmp_path / "out", "time", ())
    cell = tmp_path / "out/Results/e/CC/CCF"
    (cell / "CF").rmdir()
    (cell / "CF").symlink_to(base / "CC/CCF/CF")
    with pytest.raises(UserError, match="is a link"):
        read(tmp_path / "out", "time")


def test_an_empty_experiment_is_said_to_be_empty(tmp_path):
    write_tree(tmp_path, "time", ())
    with pytest.raises(UserError, match="nothing to import"):
        read(tmp_path, "time")
    with pytest.raises(UserError, match="nothing to import"):
        detected(tmp_path, "e")


def test_a_folder_without_results_says_what_to_give(tmp_path):
    with pytest.raises(UserError, match="give the folder that the program wrote"):
        chosen_experiment(tmp_path, None)


def test_aces_summary_is_compared_with_the_rows(tmp_path):
    ace(tmp_path)
    agrees = "summary.yaml agrees: 3 images, flip rate {}.{} %"
    assert checks(read(tmp_path)) == [agrees.format(66, 7)]
    assert checks(read(tmp_path, part="pre-explanation")) == [agrees.format(100, 0)]
    (tmp_path / "Results/e/explanation/CC/CCF/CF/0000000.png").unlink()
    assert checks(read(tmp_path)) == [
        "summary.yaml speaks of 3 images, the folder holds 2",
        "summary.yaml says a flip rate of 66.7 %, the rows give 50.0 %",
    ]


def test_dimes_summaries_of_chunks_add_up(tmp_path):
    dime(tmp_path)
    base = tmp_path / "Results/exp/name"
    one, two = "class-cor:\n  cf-cor: {n: 1}\n", "class-inc: {cf-cor: {n: 1}}\n"
    (base / "chunk-0_num-chunks-2_summary.yaml").write_text(
        f"{one}  cf-inc: {{n: 1, bkl: .nan}}\nclean acc: 66.67\ncf acc: 0.5\n"
    )
    (base / "chunk-1_num-chunks-2_summary.yaml").write_text(f"{two}clean acc: 0\ncf acc: 1\n")
    found = read(tmp_path, "dime", "exp/name")
    assert checks(found) == ["summary.yaml agrees: 3 images, flip rate 66.7 %"]


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['false']", "[" * 100_000, "a: b: c", "", "{'n': -1}"]
)
def test_a_summary_that_cannot_be_read_costs_only_the_comparison(tmp_path, text):
    ace(tmp_path)
    (tmp_path / "Results/e/summary.yaml").write_text(text)
    assert checks(read(tmp_path)) == ["summary.yaml cannot be read and is not compared"]
