"""pairs.csv, the door for everybody, and two folders matched by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.errors import UserError
from vcebench.folders.foreign.pairs import Pair, class_number, read_list, read_two_folders

SMILE = {"not smiling": 0, "smiling": 1}
HEAD = "input,counterfactual,label,target"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_row_is_a_pair(tmp_path):
    path = written(tmp_path, HEAD, "in/a.png,cf/a.png,1,0", "in/b.png,./cf/b.jpg,smiling,")
    found = read_list(path, SMILE)
    assert found.pairs == (
        Pair("in_a", "in/a.png", "cf/a.png", 1, 0),
        Pair("in_b", "in/b.png", "cf/b.jpg", 1, None),
    )


def test_optional_columns_are_read(tmp_path):
    path = written(
        tmp_path,
        f"{HEAD},id,prediction,cf_prediction,seed,method",
        "a.png,b.png,1,0,face-1,1,0,0,glow",
    )
    (pair,) = read_list(path, SMILE).pairs
    assert (pair.id, pair.prediction, pair.cf_prediction, pair.flipped) == ("face-1", 1, 0, True)
    assert read_list(path, SMILE).method == "glow"


@pytest.mark.parametrize("column", ["seed", "method"])
def test_mixed_seeds_or_methods_have_to_be_told_apart(tmp_path, column):
    path = written(tmp_path, f"{HEAD},{column}", "a.png,b.png,1,0,1", "a.png,c.png,1,0,2")
    with pytest.raises(UserError, match=f"holds {column} 1, 2; choose one"):
        read_list(path, SMILE)
    chosen = {"seed": 2} if column == "seed" else {"method": "2"}
    assert [p.counterfactual for p in read_list(path, SMILE, **chosen).pairs] == ["c.png"]


@pytest.mark.parametrize(
    "path", ["../a.png", "in/../../a.png", "/etc/passwd", "C:/a.png", "in\\..\\..\\a.png"]
)
def test_a_path_out_of_the_folder_is_refused(tmp_path, path):
    with pytest.raises(UserError, match=r"line 3: .* leads out of the folder"):
        read_list(written(tmp_path, HEAD, "a.png,b.png,1,0", f"{path},b.png,1,0"), SMILE)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (",b.png,1,0", "input is empty"),
        ("a.png,b.png,frowning,0", "label is 'frowning'; use not smiling, smiling"),
        ("a.png,b.png,1,0.5", "target is '0.5'"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, complaint):
    with pytest.raises(UserError, match=f"line 2: {complaint}"):
        read_list(written(tmp_path, HEAD, row), SMILE)


def test_an_id_may_not_come_twice(tmp_path):
    path = written(tmp_path, f"{HEAD},id", "a.png,b.png,1,0,x", "c.png,d.png,1,0,x")
    with pytest.raises(UserError, match="names x twice"):
        read_list(path, SMILE)


def test_html_in_a_name_becomes_a_harmless_id(tmp_path):
    path = written(tmp_path, HEAD, '"<img src=x onerror=alert(1)>.png",b.png,1,0')
    (pair,) = read_list(path, SMILE).pairs
    assert pair.id == "_img_src_x_onerror_alert_1_"


def test_other_columns_are_no_pairs(tmp_path):
    with pytest.raises(UserError, match="needs a first line"):
        read_list(written(tmp_path, "file,label", "a.png,1"), SMILE)


def test_two_folders_are_matched_by_name(tmp_path):
    for name in ("inputs/a.png", "inputs/b.jpg", "inputs/c.png", "inputs/notes.txt"):
        _touch(tmp_path / name)
    for name in ("counterfactuals/a.png", "counterfactuals/b.png", "counterfactuals/z.png"):
        _touch(tmp_path / name)
    found = read_two_folders(tmp_path)
    assert [(p.id, p.input, p.counterfactual) for p in found.pairs] == [
        ("a", "inputs/a.png", "counterfactuals/a.png"),
        ("b", "inputs/b.jpg", "counterfactuals/b.png"),
    ]
    assert found.left_out == {
        "z": "no input of this name",
        "c": "no counterfactual of this name",
    }


def test_a_name_with_two_endings_is_refused(tmp_path):
    for name in ("inputs/a.png", "inputs/a.jpg", "counterfactuals/a.png"):
        _touch(tmp_path / name)
    with pytest.raises(UserError, match="holds a twice"):
        read_two_folders(tmp_path)


def _touch(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()


@given(st.text(max_size=12))
def test_a_class_is_a_number_or_nothing(text):
    number = class_number(text)
    assert number is None or number == float(text)


@given(st.binary(max_size=400))
def test_any_bytes_are_pairs_or_one_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    path.write_bytes(HEAD.encode() + b"\n" + content)
    try:
        found = read_list(path, SMILE)
    except UserError:
        return
    assert all(".." not in pair.input.split("/") for pair in found.pairs)
