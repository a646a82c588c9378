"""Random lists of files and labels: what spreadsheets write is read, what is wrong has its line."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcebench.data.listing import list_csv
from vcebench.errors import UserError

fuzz = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

FILES = ("bar/00.png", "bar/a b.png", "disc/图.png", "x, y.png", "deep/er/1.png", "ü.jpg", "07.png")
NAMES = ("bar", "disc", "a b", "图", "it's", "x; y")
LABELS = {"names": NAMES, "numbers": ("0", "1", "2", "10", "007", "3.0")}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")
HEADERS = (("file", "label"), ("File", "Label"), (" FILE ", "label "), ("label", "file"))

written = {
    "as it is": lambda path: path,
    "backslashes": lambda path: path.replace("/", "\\"),
    "blanks": lambda path: f" {path} ",
    "a dot": lambda path: f"./{path}",
}


@st.composite
def tables(draw, labels):
    """(entries, bytes): (file, label) pairs, and a file that says them in somebody's way."""
    files = draw(st.permutations(FILES)).copy()[: draw(st.integers(1, len(FILES)))]
    entries = [(file, draw(st.sampled_from(labels))) for file in files]
    header = draw(st.sampled_from(HEADERS))
    more = draw(st.lists(st.sampled_from(["", "note", "id"]), max_size=2, unique=True))
    way = written[draw(st.sampled_from(list(written)))]
    swapped = header[0].strip().lower() == "label"
    buffer = io.StringIO()
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    if draw(st.booleans()):
        buffer.write(f"sep={delimiter}\r\n")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    writer = csv.writer(buffer, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow([*header, *more])
    for file, label in entries:
        cells = (label, way(file)) if swapped else (way(file), label)
        writer.writerow([*cells, *("1" for _ in more)])
        if draw(st.integers(0, 9)) == 0:
            buffer.write("\n")
    text = buffer.getvalue().replace("\r\n", "\n").replace("\n", ends)
    return entries, text.encode(draw(st.sampled_from(ENCODINGS)))


def build(folder, content):
    for file in FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content("PNG"))


@pytest.mark.parametrize("kind", LABELS)
@fuzz
@given(data=st.data())
def test_a_list_in_anybodys_way_is_read(kind, data, place, read, content):
    entries, table = data.draw(tables(LABELS[kind]))
    with place() as folder:
        build(folder / "images", content)
        (folder / "labels.csv").write_bytes(table)
        classes = NAMES if kind == "names" else ()
        listing = read(lambda: list_csv(folder / "labels.csv", folder / "images", classes))
    assert not isinstance(listing, UserError), str(listing)
    wanted = [
        (file, NAMES.index(label) if kind == "names" else int(float(label)))
        for file, label in entries
    ]
    assert listing.rows == wanted
    named = {path for paths in listing.left_out.values() for path in paths}
    assert named == set(FILES) - {file for file, _ in entries}


WRONG = ("no label", "no file", "twice", "another class", "outside", "too wide")


@pytest.mark.parametrize("wrong", WRONG)
@fuzz
@given(data=st.data(), at=st.integers(0, 6))
def test_what_is_wrong_with_a_list_has_its_line(wrong, data, at, place, read, content):
    count = data.draw(st.integers(2, len(FILES)))
    rows = [[file, "bar"] for file in FILES[:count]]
    at = 1 + at % (count - 1)
    changes = {
        "no label": ["", None],
        "no file": [None, ""],
        "twice": [None, rows[0][0]],
        "another class": ["ring", None],
        "outside": [None, "../labels.csv"],
        "too wide": ["bar", None],
    }
    label, file = changes[wrong]
    rows[at] = [rows[at][0] if file is None else file, rows[at][1] if label is None else label]
    if wrong == "too wide":
        rows[at].append("more")
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([["file", "label"], *rows])
    with place() as folder:
        build(folder / "images", content)
        (folder / "labels.csv").write_text(buffer.getvalue())
        found = read(lambda: list_csv(folder / "labels.csv", folder / "images", ("bar", "disc")))
    assert isinstance(found, UserError)
    if wrong != "outside":
        assert re.search(rf"\b{at + 2}\b", str(found)), str(found)
    else:
        assert "leads out of" in str(found)
