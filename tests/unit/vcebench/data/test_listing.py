"""Folders and lists as people have them: every image is used or named and has its number."""

import pytest
from PIL import Image

from vcebench.data.ids import LONGEST, ids_of
from vcebench.data.listing import list_all, list_csv, list_folder
from vcebench.errors import UserError


def files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name, "PNG")


def left_out(listing):
    return {name for names in listing.left_out.values() for name in names}


USED = ("bar/0.png", "disc/0.png")


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ("bar/2021/n.png", "below the class folders"),
        ("loose.png", "beside the class folders"),
        ("__MACOSX/._0.png", "operating system"),
        ("bar/._0.png", "operating system"),
        ("thumbs/0.png", "operating system"),
        ("bar/x.heic", "kind that is not read"),
        ("bar/without-ending", "kind that is not read"),
    ],
)
def test_what_is_not_used_is_named(tmp_path, extra, word):
    files(tmp_path, *USED, extra)
    found = list_folder(tmp_path)
    assert found.rows == [("bar/0.png", 0), ("disc/0.png", 1)]
    assert left_out(found) == {extra}
    assert any(word in line and extra in line for line in found.lines())


def test_folders_that_no_class_names_are_named(tmp_path):
    files(tmp_path, *USED, "ring/0.png")
    found = list_folder(tmp_path, ("disc", "bar"))
    assert found.rows == [("disc/0.png", 0), ("bar/0.png", 1)]
    assert left_out(found) == {"ring/0.png"}


@pytest.mark.parametrize("ending", ["jfif", "avif", "webp", "ppm", "jp2", "tif", "PNG"])
def test_endings_that_pillow_reads_are_used(tmp_path, ending):
    files(tmp_path, *USED, f"bar/1.{ending}")
    assert (f"bar/1.{ending}", 0) in list_folder(tmp_path).rows


def test_loose_images_beside_clutter_are_unlabelled(tmp_path):
    files(tmp_path, "a.png", "b.png", "thumbs/a.png")
    assert list_folder(tmp_path).rows == [("a.png", -1), ("b.png", -1)]


def test_folders_of_numbers_are_class_numbers(tmp_path):
    files(tmp_path, "10/a.png", "2/a.png", "0/a.png")
    found = list_folder(tmp_path)
    assert dict(found.rows) == {"0/a.png": 0, "2/a.png": 2, "10/a.png": 10}
    assert found.names == [str(n) for n in range(11)]


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (("bar/0.png",), "one class folder only"),
        (("bar/0.png", "3/0.png"), "of numbers"),
        (("bar/a/0.png", "disc/a/0.png"), "only deeper"),
        (("bar/0.png", "disc/a/0.png"), "itself, only deeper"),
    ],
)
def test_folders_that_say_no_class_are_refused(tmp_path, names, word):
    files(tmp_path, *names)
    with pytest.raises(UserError, match=word):
        list_folder(tmp_path)


def test_an_empty_folder_is_a_class_only_if_it_is_named(tmp_path):
    files(tmp_path, *USED)
    (tmp_path / "aaa").mkdir()
    with pytest.raises(UserError, match="aaa holds no image: is it a class"):
        list_folder(tmp_path)
    found = list_folder(tmp_path, ("aaa", "bar", "disc"))
    assert found.rows == [("bar/0.png", 1), ("disc/0.png", 2)]


def test_a_prior_takes_all_images_but_clutter(tmp_path):
    files(tmp_path, "a.png", "x/b.png", "x/y/c.png", "thumbs/a.png")
    assert [file for file, _ in list_all(tmp_path).rows] == ["a.png", "x/b.png", "x/y/c.png"]


CSV = {
    "plain": b"file,label\nbar/0.png,bar\ndisc/0.png,disc\n",
    "byte order mark": b"\xef\xbb\xbffile,label\r\nbar/0.png,bar\r\ndisc/0.png,disc\r\n",
    "semicolons": b"File;Label\nbar/0.png;bar\ndisc/0.png;disc\n",
    "sep line": b"sep=;\nfile;label\nbar/0.png;bar\ndisc/0.png;disc\n",
    "UTF-16 with tabs": "file\tlabel\nbar/0.png\tbar\ndisc/0.png\tdisc\n".encode("utf-16"),
    "blanks": b" file , label \nbar/0.png , bar\n disc/0.png, disc \n",
    "backslashes": b"file,label\nbar\\0.png,bar\n.\\disc\\0.png,disc\n",
    "quotes": b'"label","file"\n"bar","bar/0.png"\n"disc","disc/0.png"\n',
    "empty columns and lines": b"file,label,,\nbar/0.png,bar,,\n,,,\n\ndisc/0.png,disc\n",
}


@pytest.mark.parametrize("content", CSV.values(), ids=CSV)
def test_lists_as_spreadsheets_write_them(tmp_path, content):
    files(tmp_path / "images", *USED, "extra.png")
    (tmp_path / "labels.csv").write_bytes(content)
    found = list_csv(tmp_path / "labels.csv", tmp_path / "images", ("bar", "disc"))
    assert found.rows == [("bar/0.png", 0), ("disc/0.png", 1)]
    assert left_out(found) == {"extra.png"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a.png,bar\n", "names file and label"),
        (b"file,label\na.png,\n", "line 2, column 2: no label"),
        (b"file,label\n,bar\n", "line 2, column 1: no file"),
        (b"file,label\na,b.png,bar\n", "line 2, column 3: 3 values under 2 names"),
        (b"file,label\n\xfc.png,bar\n", "line 2, column 1: not UTF-8"),
        (b"file,label\na.png,0\na.png,1\n", "lines 2 and 3 are both about a.png"),
        (b"file,label\na.png,bar\n", r'classes = \["bar", "…"\]'),
        (b"file,label\na.png,bar\nb.png,disc\n", r'classes = \["bar", "disc"\]'),
    ],
)
def test_lists_that_are_not_understood_say_where(tmp_path, content, words):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=words):
        list_csv(tmp_path / "labels.csv", tmp_path)


def test_numbers_in_a_list_are_class_numbers(tmp_path):
    labels = ["0", "2", "3.0", "10"]
    lines = [f"{n}.png,{label}" for n, label in enumerate(labels)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines]))
    found = list_csv(tmp_path / "labels.csv", tmp_path)
    assert [label for _, label in found.rows] == [0, 2, 3, 10]


def test_ids_are_different_readable_and_short():
    paths = ["bar/00.png", "bar/a b.png", "bar/a_b.png", "图1.png", "画1.png", "x" * 300 + ".png"]
    found = ids_of(paths)
    assert len(set(found)) == len(paths)
    assert found[0] == "bar_00.png"
    assert all(len(id) <= LONGEST and id.isascii() and id.endswith(".png") for id in found)
    assert ids_of(paths[::-1]) == found[::-1]
