"""The attributes of whole splits, kept between evaluations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vcebench.data import index
from vcebench.data.base import HasAttributes
from vcebench.data.rendered import labels
from vcebench.data.rendered.labels import all_attributes
from vcebench.data.synthfaces.dataset import SynthFaces


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many examples' attributes were computed, call by call."""
    counts: list[int] = []
    compute = SynthFaces.attributes

    def counted(self: SynthFaces, indices: range) -> np.ndarray:
        counts.append(len(indices))
        return compute(self, indices)

    monkeypatch.setattr(SynthFaces, "attributes", counted)
    return counts


def test_they_are_computed_once_and_stay_the_same(asked: list[int]) -> None:
    faces = SynthFaces("smile", "test")
    expected = faces.attributes(range(len(faces)))
    asked.clear()
    for _ in range(3):
        found = all_attributes(SynthFaces("smile", "test"))
        assert found.dtype == np.bool_
        assert np.array_equal(found, expected)
    assert asked == [2000]
    all_attributes(SynthFaces("smile", "val"))
    all_attributes(SynthFaces("smile", "test", seed=1))
    assert asked == [2000] * 3


def test_other_code_or_a_damaged_file_is_computed_anew(
    asked: list[int], cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faces = SynthFaces("smile", "test")
    expected = all_attributes(faces)
    (kept,) = index.cache_folder().iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert np.array_equal(all_attributes(faces), expected)
    code = tmp_path / "scm.py"
    code.write_text("")
    monkeypatch.setattr(labels, "_sources", lambda kind: iter([code]))
    all_attributes(faces)
    code.write_text("changed")
    all_attributes(faces)
    assert asked == [2000] * 4


def test_sets_of_files_are_asked(cache: Path) -> None:
    class Files:
        attribute_names = ("a", "b")

        def __len__(self) -> int:
            return 3

        def attributes(self, indices: range) -> np.ndarray:
            return np.ones((len(indices), 2), dtype=bool)

    images: HasAttributes = Files()
    assert all_attributes(images).shape == (3, 2)
    assert not index.cache_folder().exists()
