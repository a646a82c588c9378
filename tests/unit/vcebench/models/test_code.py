"""The code of a classifier is found without being run, and is imported as it is now."""

from importlib import import_module

import pytest

from vcebench.models.code import code_digest, importing, sources


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/__init__.py").write_text("")
    (tmp_path / "nets/small.py").write_text("from . import parts\nVALUE = 1\n")
    (tmp_path / "nets/parts.py").write_text("")
    (tmp_path / "mine_clf.py").write_text("import json\nfrom nets.small import VALUE\n")
    (tmp_path / "unrelated.py").write_text("raise RuntimeError\n")
    return tmp_path


def test_modules_beside_the_file_that_it_imports_belong_to_it(folder):
    assert set(sources("mine_clf", folder)) == {"mine_clf", "nets", "nets.small", "nets.parts"}
    assert sources("torch", folder) == {}


@pytest.mark.parametrize(
    ("file", "changes"), [("nets/parts.py", True), ("mine_clf.py", True), ("unrelated.py", False)]
)
def test_a_change_changes_the_digest(folder, file, changes):
    before = code_digest(sources("mine_clf", folder))
    (folder / file).write_text("X = 2\nimport nets.small\nimport nets.parts\n")
    assert (code_digest(sources("mine_clf", folder)) != before) == changes


def test_line_ends_do_not_matter(folder):
    before = code_digest(sources("mine_clf", folder))
    path = folder / "mine_clf.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert code_digest(sources("mine_clf", folder)) == before


def test_a_file_that_changed_is_imported_anew_and_nothing_is_written(folder):
    values = []
    for value in (1, 22):
        (folder / "nets/small.py").write_text(f"VALUE = {value}\n")
        files = sources("mine_clf", folder)
        with importing(files, folder):
            values.append(import_module("mine_clf").VALUE)
    assert values == [1, 22]
    assert not list(folder.rglob("__pycache__"))
