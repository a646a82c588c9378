"""The run folder: commits, resume, locks, refusals."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from made_up import made_up_row

from vcebench.errors import UserError
from vcebench.folders import inside
from vcebench.folders.digests import CONFIG_KEY, MANIFEST_KEY, manifest_digest
from vcebench.folders.manifest import new_manifest
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import Finished, open_store
from vcebench.settings.config import build_config

CONFIG: dict[str, Any] = {
    "method": "maskdime",
    "dataset": "digits",
    "task": "3-8",
    "limit": 7,
    "settings": {"tau": 3},
}


def manifest_of(**changes: Any) -> dict[str, Any]:
    """The manifest of a run whose configuration has these changes."""
    return new_manifest(build_config(**{**CONFIG, **changes}), {})


MANIFEST = manifest_of()


def finished(index: int) -> Finished:
    return Finished(made_up_row(index), {f"counterfactuals/i{index}.png": str(index).encode()})


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


def interleave(folder: Path, events: list[tuple[str, list[int]]], monkeypatch: Any) -> set[int]:
    """Carry out commits, some of them killed before or after the rename; returns what is in."""
    committed: set[int] = set()
    for kind, indices in events:
        with open_store(folder, MANIFEST) as store:
            if kind == "kill":
                monkeypatch.setattr("vcebench.folders.inside.write_lasting", _raise)
            try:
                store.commit([finished(i) for i in indices])
                committed |= set(indices)
            except Killed:
                pass
            finally:
                monkeypatch.undo()
    return committed


def _raise(root: Path, name: str, content: bytes) -> None:
    # Half a temporary file, as a killed process leaves it.
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.with_name(f".{path.name}.tmp").write_bytes(content[: len(content) // 2])
    raise Killed


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["commit", "kill"]),
            st.lists(st.integers(0, 6), max_size=4, unique=True),
        ),
        max_size=6,
    )
)
def test_nothing_is_lost_and_nothing_is_there_twice(events: list[tuple[str, list[int]]]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name) / "run"
        committed = interleave(folder, events, patch)
        with open_store(folder, MANIFEST) as store:
            assert set(store.finished) == {f"i{i}" for i in committed}
        rows = RunFolder(folder).rows()
        assert [row.index for row in rows] == sorted(committed)
        for row in rows:
            assert (folder / f"counterfactuals/{row.id}.png").read_text() == str(row.index)
        assert not list(folder.glob("shards/.*"))


class Interleavings(RuleBasedStateMachine):
    """Two processes' worth of openings, commits, kills and full disks, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name) / "run"
        self.opened: Any = None
        self.store: Any = None
        self.committed: set[int] = set()

    @precondition(lambda self: self.store is None)
    @rule()
    def open(self) -> None:
        self.opened = open_store(self.folder, MANIFEST)
        self.store = self.opened.__enter__()

    @precondition(lambda self: self.store is not None)
    @rule()
    def close(self) -> None:
        self.opened.__exit__(None, None, None)
        self.opened = self.store = None

    @precondition(lambda self: self.store is not None)
    @rule(indices=st.lists(st.integers(0, 6), max_size=4, unique=True))
    def commit(self, indices: list[int]) -> None:
        self.store.commit([finished(index) for index in indices])
        self.committed |= set(indices)

    @precondition(lambda self: self.store is not None)
    @rule(indices=st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True))
    def be_killed(self, indices: list[int]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vcebench.folders.inside.write_lasting", _raise)
            with suppress(Killed):
                self.store.commit([finished(index) for index in indices])
        self.close()

    @precondition(lambda self: self.store is not None)
    @rule(indices=st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True))
    def find_the_disk_full(self, indices: list[int]) -> None:
        def full(root: Path, name: str, content: bytes) -> None:
            raise OSError(28, "No space left on device")

        new = set(indices) - self.committed
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vcebench.folders.inside.write_lasting", full)
            if new:
                with pytest.raises(UserError, match="no space left"):
                    self.store.commit([finished(index) for index in indices])

    @precondition(lambda self: self.store is not None)
    @rule(status=st.sampled_from(["running", "interrupted", "finished"]))
    def update(self, status: str) -> None:
        self.store.update(status=status)
        assert RunFolder(self.folder).manifest()["status"] == status

    @precondition(lambda self: self.store is not None)
    @rule()
    def second_process(self) -> None:
        with pytest.raises(UserError, match="in use"), open_store(self.folder, MANIFEST):
            pass

    @precondition(lambda self: self.store is None and self.folder.exists())
    @rule()
    def other_configuration(self) -> None:
        other = manifest_of(seed=1)
        with pytest.raises(UserError, match="seed: 0 → 1"), open_store(self.folder, other):
            pass

    @invariant()
    def nothing_is_lost_or_there_twice(self) -> None:
        if not self.folder.exists():
            return
        rows = RunFolder(self.folder).rows()
        assert [row.index for row in rows] == sorted(self.committed)
        stored = sum(len(pq.read_table(shard)) for shard in RunFolder(self.folder).shards())
        assert stored == len(rows)
        for row in rows:
            path = self.folder / f"counterfactuals/{row.id}.png"
            assert path.read_text() == str(row.index)

    def teardown(self) -> None:
        if self.store is not None:
            self.close()
        self.place.cleanup()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(stateful_step_count=12)


def test_a_row_survives_its_shard(tmp_path: Path) -> None:
    with open_store(tmp_path / "run", MANIFEST) as store:
        store.commit([finished(4)])
    assert RunFolder(tmp_path / "run").rows() == [finished(4).with_digests().row]


def test_rows_know_the_digests_of_their_files(tmp_path: Path) -> None:
    with open_store(tmp_path / "run", MANIFEST) as store:
        store.commit([finished(4)])
    (row,) = RunFolder(tmp_path / "run").rows()
    content = (tmp_path / "run/counterfactuals/i4.png").read_bytes()
    assert row.files_sha256 == {"counterfactuals": hashlib.sha256(content).hexdigest()}


def test_files_that_are_not_those_of_their_row_are_refused(tmp_path: Path) -> None:
    row = finished(4).with_digests().row
    with open_store(tmp_path / "run", MANIFEST) as store:
        with pytest.raises(UserError, match="the files of i4 are not those"):
            store.commit([Finished(row, {"counterfactuals/i4.png": b"another"})])
        assert not store.finished


def test_shards_name_the_run_they_belong_to(tmp_path: Path) -> None:
    with open_store(tmp_path / "run", MANIFEST) as store:
        store.update(status="running")
        store.commit([finished(4)])
    (shard,) = RunFolder(tmp_path / "run").shards()
    metadata = pq.read_schema(shard).metadata
    assert metadata[CONFIG_KEY] == MANIFEST["config_hash"].encode()
    assert metadata[MANIFEST_KEY] == manifest_digest(MANIFEST).encode()
    assert manifest_digest({**MANIFEST, "protocol": "p/2"}) != manifest_digest(MANIFEST)


def four_shards(path: Path) -> list[Row]:
    """A run of four images that was not finished; returns its rows."""
    with open_store(path, MANIFEST) as store:
        for index in (2, 0, 3, 1):
            store.commit([finished(index)])
    return RunFolder(path).rows()


def test_a_finished_run_has_one_shard_and_a_copy_of_it(tmp_path: Path) -> None:
    rows = four_shards(tmp_path)
    for _ in range(2):
        with open_store(tmp_path, MANIFEST) as store:
            store.finish(skipped={})
        names = {path.name for path in (tmp_path / "shards").iterdir()}
        assert names == {"00000.parquet", "00000.copy"}
        assert RunFolder(tmp_path).rows() == rows
        assert RunFolder(tmp_path).manifest()["status"] == "finished"
    with open_store(tmp_path, MANIFEST) as store:
        store.commit([finished(4)])
        assert len(RunFolder(tmp_path).rows()) == 5
        store.finish()
    assert len(RunFolder(tmp_path).shards()) == 1
    assert len(RunFolder(tmp_path).rows()) == 5


@pytest.mark.parametrize("write", range(5))
def test_shards_that_are_being_joined_may_be_left_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    rows = four_shards(tmp_path)
    left = iter(range(5))

    def stopping(name: str) -> None:
        change = getattr(inside, name)

        def changed(*arguments: Any) -> None:
            if next(left) == write:
                raise KeyboardInterrupt
            change(*arguments)

        monkeypatch.setattr(inside, name, changed)

    with open_store(tmp_path, MANIFEST) as store:
        stopping("write_lasting")
        stopping("remove")
        with pytest.raises(KeyboardInterrupt):
            store.finish()
    monkeypatch.undo()
    assert RunFolder(tmp_path).rows() == rows
    with open_store(tmp_path, MANIFEST) as store:
        assert set(store.finished) == {"i0", "i1", "i2", "i3"}
        store.finish()
    assert RunFolder(tmp_path).rows() == rows
    assert len(RunFolder(tmp_path).shards()) == 1


def test_a_shard_whose_copy_is_damaged_too_is_set_aside(tmp_path: Path) -> None:
    four_shards(tmp_path)
    with open_store(tmp_path, MANIFEST) as store:
        store.finish()
    for name in ("00000.parquet", "00000.copy"):
        (tmp_path / "shards" / name).write_bytes(b"PAR1")
    with open_store(tmp_path, MANIFEST) as store:
        assert not store.finished
        assert [error.name for error in store.set_aside] == ["shards/00000.parquet"]
        store.commit([finished(0)])
        store.finish()
    assert len(RunFolder(tmp_path).rows()) == 1


def test_a_second_process_is_told_who_works_on_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vcebench.folders.store import open_store\n"
        f"with open_store(Path({str(tmp_path / 'run')!r}), {MANIFEST!r}):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(UserError, match=f"in use by process {other.pid}"),
            open_store(tmp_path / "run", MANIFEST),
        ):
            pass
        other.kill()
    with open_store(tmp_path / "run", MANIFEST):  # the lock of a dead process holds nobody up
        pass


def test_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    with open_store(tmp_path / "run", MANIFEST):
        pass
    other = manifest_of(seed=1, settings={"tau": 4})
    with (
        pytest.raises(UserError, match=r"seed: 0 → 1; settings.tau: 3 → 4"),
        open_store(tmp_path / "run", other),
    ):
        pass


def test_other_networks_are_another_configuration(tmp_path: Path) -> None:
    with open_store(tmp_path / "run", MANIFEST):
        pass
    other = {**MANIFEST, "networks": {"prior": {"sha256": "ff"}}}
    with pytest.raises(UserError, match=r"networks\.prior"), open_store(tmp_path / "run", other):
        pass


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"), open_store(tmp_path, MANIFEST):
        pass


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot be written"),
        open_store(tmp_path / "file" / "run", MANIFEST),
    ):
        pass


def test_a_full_disk_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(root: Path, name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with open_store(tmp_path / "run", MANIFEST) as store:
        store.commit([finished(0)])
        monkeypatch.setattr("vcebench.folders.inside.write", full)
        with pytest.raises(UserError, match="no space left; free some, then the same command"):
            store.commit([finished(1)])
        monkeypatch.undo()
    with open_store(tmp_path / "run", MANIFEST) as store:
        assert set(store.finished) == {"i0"}


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    with open_store(tmp_path / "run", MANIFEST) as store:
        store.commit([finished(0)])
    (tmp_path / "run/shards/00000.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(UserError, match=r"00000\.parquet cannot be read"):
        RunFolder(tmp_path / "run").rows()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="--output"), open_store(tmp_path / "run", MANIFEST):
        pass
