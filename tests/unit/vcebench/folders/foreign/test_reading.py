"""Whatever bytes a stranger's folder holds: what is read is sound, or it is one sentence."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from foreign_trees import THREE, image, plain, write_tree
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vcebench.errors import UserError
from vcebench.folders.foreign.pairs import Found, read_two_folders
from vcebench.folders.foreign.reading import UnusableFileError, read_bounded, read_picture
from vcebench.folders.foreign.summaries import checks
from vcebench.folders.foreign.trees import LAYOUTS, read_info, read_tree
from vcebench.folders.packs import unpacked
from vcebench.jobs.matching import _listed

LINE = st.one_of(
    st.sampled_from(["label: 1", "pred: 0", "target: 1.0", "cf pred: nan", "MAD: inf", ": :", "a"]),
    st.text(max_size=20),
)


Read = TypeVar("Read")


def attempt(read: Callable[[], Read]) -> tuple[Read | None, str]:
    """What a reader returns, or what it complains of, which has to be one sentence."""
    try:
        return read(), ""
    except UserError as error:
        complaint = str(error)
    assert complaint
    assert "\n" not in complaint
    assert len(complaint) < 1000
    return None, complaint


@given(st.one_of(st.binary(max_size=300), st.lists(LINE).map(lambda ls: "\n".join(ls).encode())))
def test_any_info_is_lines_or_one_sentence(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("info")
    (folder / "1.txt").write_bytes(content)
    found, _ = attempt(lambda: read_info(folder, "1.txt"))
    words = [word for pair in (found or {}).items() for word in pair]
    assert all(word == word.strip() for word in words)


NUMBER = st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.none(), st.lists(st.none()))


@st.composite
def summaries(draw: st.DrawFn) -> str:
    """Nearly what the programs write."""
    inner = {"cf": draw(NUMBER), "n": draw(NUMBER)}
    cells = {side: {"cf-cor": inner, "cf-inc": draw(NUMBER)} for side in ("class-cor", "class-inc")}
    known = {"n": draw(NUMBER), "explanation": inner, "cf acc": draw(NUMBER), **cells}
    kept = draw(st.sets(st.sampled_from(sorted(known))))
    return repr({name: known[name] for name in kept}).replace("None", "null")


@given(st.one_of(st.binary(max_size=300), summaries().map(str.encode)))
def test_any_summary_is_compared_or_passed_over(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("tree")
    base = folder / "Results/e"
    base.mkdir(parents=True)
    (base / "summary.yaml").write_bytes(content)
    lines = checks(Found(folder, "ace", (), experiment="e", part="explanation"))
    assert lines
    assert all("summary.yaml" in line and "\n" not in line for line in lines)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    level = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    Image.fromarray(level).save(buffer, kind)
    return buffer.getvalue()


FILES = {kind: encoded(kind) for kind in ("PNG", "JPEG", "BMP", "WEBP", "TIFF")}


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
    st.integers(0, 2000),
)
def test_any_picture_is_pixels_or_one_sentence(tmp_path_factory, kind, changes, length):
    content = bytearray(FILES[kind])
    for at, value in changes:
        content[at % len(content)] = value
    folder = tmp_path_factory.mktemp("picture")
    (folder / "a").write_bytes(content[: max(1, length)] if length < len(content) else content)
    read, _ = attempt(lambda: read_picture(folder, "a"))
    if read is not None:
        found, digest = read
        assert found.dtype == torch.uint8
        assert (found.ndim, found.shape[0], len(digest)) == (3, 3, 64)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large, and whose pixels are all black."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000 * 1000))
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 9000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_that_would_unpack_to_gigabytes_is_not_unpacked(tmp_path, size):
    (tmp_path / "a.png").write_bytes(bomb(*size))
    with pytest.raises(UnusableFileError, match=r"too large|damaged"):
        read_picture(tmp_path, "a.png")


def test_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UnusableFileError, match=r"no plain file|cannot be opened"):
            read_bounded(tmp_path, name, 100)


NAME = st.one_of(
    st.sampled_from(["0000001.png", "0000001.PNG", "1.png", "x.png", ".1.png", "12345678901.png"]),
    st.text("01.pngx -é", min_size=1, max_size=12).filter(lambda name: name.strip(". ")),
)


@given(st.lists(st.tuples(st.sampled_from(["CC/CCF", "IC/ICF", "CC/ICF"]), NAME), max_size=6))
def test_any_names_in_the_cells_are_rows_or_left_out(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("tree")
    base = write_tree(folder, "time", THREE)
    for cell, name in names:
        (base / cell / "CF" / name).write_bytes(b"x")
    found, complaint = attempt(lambda: read_tree(folder, LAYOUTS["time"], "e"))
    if found is None:
        assert "several cells" in complaint
        return
    listed = {f"{cell}/{name}" for cell, name in names if not name.startswith(".")}
    assert {pair.id for pair in found.pairs} <= {"0000000", "0000001", "0000002"}
    assert len(found.pairs) + len(found.left_out) >= len(listed - set(found.left_out))
    assert all(".." not in pair.counterfactual for pair in found.pairs)


@given(st.lists(NAME, max_size=5), st.lists(NAME, max_size=5))
def test_any_two_folders_are_pairs_or_one_sentence(tmp_path_factory, inputs, made):
    folder = tmp_path_factory.mktemp("two")
    for kind, names in (("inputs", inputs), ("counterfactuals", made)):
        (folder / kind).mkdir()
        for name in names:
            (folder / kind / name).write_bytes(b"x")
    found, _ = attempt(lambda: read_two_folders(folder))
    if found is None:
        return
    assert len({pair.id for pair in found.pairs}) == len(found.pairs)
    assert all(Path(p.input).stem == Path(p.counterfactual).stem for p in found.pairs)


@given(st.binary(max_size=300))
def test_any_list_of_images_is_names_or_one_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_bytes(content)
    names, _ = attempt(lambda: _listed(path))
    assert all(isinstance(name, str) for name in names or [])


@given(st.binary(max_size=400), st.booleans())
def test_any_archive_is_refused_in_one_sentence(tmp_path_factory, content, begins):
    path = tmp_path_factory.mktemp("pack") / "p.zip"
    path.write_bytes((b"PK\x03\x04" if begins else b"") + content)

    def read() -> None:
        with unpacked(path):
            pass

    assert attempt(read)[1]


def test_a_truncated_jpeg_is_left_out(tmp_path):
    write_tree(tmp_path, "dime", [image(1, 1, 1, 0, 0)])
    path = tmp_path / "Original/Correct/0000001.jpg"
    Image.fromarray(plain(80, 64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnusableFileError, match="damaged"):
        read_picture(tmp_path, "Original/Correct/0000001.jpg")
