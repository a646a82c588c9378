"""Random folders of a person's images: every image is used with its class, or named, or refused."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcebench.data.base import Task
from vcebench.data.files import BadImageError, Geometry
from vcebench.data.folder import folder_set
from vcebench.data.kinds import endings, is_clutter
from vcebench.data.listing import list_all, list_folder
from vcebench.errors import UserError
from vcebench.folders.inside import check_id

fuzz = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

CLASSES = ("bar", "disc", "a b", "图", "Bar")
NUMBERS = ("0", "1", "2", "10", "007")
OTHERS = ("__MACOSX", "thumbs", ".git", "@eaDir", "ring", "bar/2021", "disc/new/old", "1/more")
NAMES = (
    *("00.png", "01.PNG", "a b.png", "a_b.png", "a-b.png", "图.png", "画.png", "ü.jpg", "x.jfif"),
    *("x.JPEG", "x.gif", "x.webp", "x.bmp", "x.tif", "x.heic", "x.dcm", "x.svg", "x.npy", "x.txt"),
    *("._00.png", ".DS_Store", "Thumbs.db", "desktop.ini", "noending", "two.dots.png", "x.png.bak"),
    *(
        "x" * 120 + ".png",
        "y" * 205 + ".png",
        "z" * 240 + ".png",
        "con.png",
        "a'b\"c.png",
        "a#b%20c.png",
        "-rf.png",
        " lead.png",
    ),
)
PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "deep", "float", "transparent")
CONTENTS = (*PICTURES, "cut", "empty", "text")

STYLES = {
    "class folders": CLASSES[:3],
    "numbers": NUMBERS,
    "anything": (*CLASSES, *NUMBERS[:2], "", ""),
}


def trees(folders):
    """Files of a folder by path, and empty folders beside them."""
    where = st.sampled_from(folders) | st.sampled_from(OTHERS)
    path = st.builds(lambda folder, name: f"{folder}/{name}".lstrip("/"), where, names)
    files = st.dictionaries(path, st.sampled_from(CONTENTS), min_size=1, max_size=12)
    return st.tuples(files, st.lists(where.filter(bool), max_size=2))


names = st.sampled_from(NAMES)
chosen = st.just(()) | st.permutations(CLASSES[:3]).map(lambda names: tuple(names[:2]))


def build(place, files, empty, content):
    for path, kind in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content(kind))
    for path in empty:
        (place / path).mkdir(parents=True, exist_ok=True)


def is_seen(path, kind):
    """Whether somebody could miss the file: it holds a picture, or is called like one."""
    parts = PurePosixPath(path).parts
    called = PurePosixPath(path).suffix.lower() in endings()
    return called or (kind in PICTURES and not any(is_clutter(part) for part in parts))


def account(listing, files):
    """Check that each file is used or left out, once, and that what is left out is counted."""
    used = [path for path, _ in listing.rows]
    left = [path for paths in listing.left_out.values() for path in paths]
    assert len(set(used)) == len(used)
    assert not set(used) & set(left)
    seen = {path for path, kind in files.items() if is_seen(path, kind)}
    assert seen <= set(used) | set(left)
    said = listing.lines()
    for reason, paths in listing.left_out.items():
        assert f"left out: {reason.format(n=len(paths), example=paths[0])}" in said


@pytest.mark.parametrize("style", STYLES)
@fuzz
@given(data=st.data(), classes=chosen)
def test_every_image_is_used_with_its_class_or_named(style, data, classes, place, read, content):
    files, empty = data.draw(trees(STYLES[style]))
    with place() as folder:
        build(folder, files, empty, content)
        listing = read(lambda: list_folder(folder, classes))
        if isinstance(listing, UserError):
            return
        account(listing, files)
        for path, number in listing.rows:
            top = path.rpartition("/")[0]
            if number == -1:
                assert top == ""
            elif classes or not top.isdigit():
                assert listing.names[number] == top
            else:
                assert number == int(top)
        look_at_all(folder, listing, files)


def look_at_all(folder, listing, files):
    """Read what is used: an image of the size asked for, or a refusal that names its file."""
    labels = tuple(listing.names) or ("a", "b")
    task = Task("own", "multiclass", tuple(range(len(labels))), labels)
    images = folder_set("own", task, folder, listing, Geometry(8, 8))
    ids = [images.id(index) for index in range(len(images))]
    assert len(set(ids)) == len(ids)
    assert [check_id(id) for id in ids] == ids  # it can be stored
    for index, path in enumerate(images.files):
        if files[path] in ("cut", "empty", "text", "float"):
            with pytest.raises(BadImageError, match=re.escape(os.path.basename(path))) as error:
                images[index]
            assert "\n" not in str(error.value)
            continue
        example = images[index]
        assert (example.id, example.label) == (ids[index], listing.rows[index][1])
        assert tuple(example.image.shape) == (3, 8, 8)


@fuzz
@given(tree=trees(STYLES["anything"]))
def test_a_training_takes_every_image_or_names_it(tree, place, read, content):
    files, empty = tree
    with place() as folder:
        build(folder, files, empty, content)
        listing = read(lambda: list_all(folder))
        if not isinstance(listing, UserError):
            account(listing, files)
