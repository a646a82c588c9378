"""Mutated run folders through everything that reads them, in one process and without networks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strangers import how_many, mutated, outside_of, rows_are_sound

from vcebench.errors import UserError
from vcebench.folders.damage import damages
from vcebench.folders.runfolder import RunFolder
from vcebench.results.measurements import stored_runs
from vcebench.showing.report.build import build_report

PARTS = 10


@pytest.fixture(scope="module")
def source(fixture_run: Callable[..., RunFolder]) -> Path:
    return fixture_run(ids=3, trace=1, pictures=3).path


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def refused(read: Callable[[], object]) -> bool:
    """Whether a reader refuses, which it has to do in one line for people."""
    try:
        read()
    except UserError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        return True
    return False


def everything(run: Path) -> None:
    """Read all that a run folder holds, each part even if another one is refused."""
    folder = RunFolder(run)
    refused(lambda: RunFolder.existing(run))
    refused(folder.config)
    refused(folder.per_image)
    refused(folder.metrics)
    refused(lambda: [folder.metrics(f"judged/{name}/metrics.json") for name in folder.judges()])
    refused(lambda: list(damages(folder)))
    stored_runs(run.parent)
    if refused(folder.rows):
        return
    rows = folder.rows()
    assert rows_are_sound(rows)
    for row in rows[:5]:
        for kind in ("inputs", "counterfactuals", "truths"):
            refused(lambda kind=kind, row=row: folder.image(kind, row))
        refused(lambda row=row: folder.masks(row))
        if not refused(lambda row=row: folder.has("trace", row)) and folder.has("trace", row):
            refused(lambda row=row: folder.trace(row))


def check(source: Path, place: Path, seed: int) -> None:
    outside = outside_of(place)
    run = mutated(source, place, seed)
    everything(run)
    assert {path.read_bytes() for path in outside.iterdir()} == {b"secret"}
    assert len(list(outside.iterdir())) == 3


@given(seed=st.integers(0, 2**32))
def test_readers_answer_or_refuse_in_a_line(source: Path, place: Path, seed: int) -> None:
    check(source, place, seed)


@given(seed=st.integers(0, 2**32))
def test_a_report_is_made_or_refused_in_a_line(source: Path, place: Path, seed: int) -> None:
    run = mutated(source, place, seed)
    if not refused(lambda: build_report([run], place / "site")):
        pages = [p for p in (place / "site").rglob("*") if p.is_file() and p.suffix != ".js"]
        assert not [page for page in pages if b"secret" in page.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_ten_thousand_folders(source: Path, place: Path, part: int) -> None:
    count = how_many(10_000, 300) // PARTS
    for seed in range(part * count, (part + 1) * count):
        check(source, place, seed)
