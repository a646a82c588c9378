"""Shards of a run, and the run they are joined to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up_row

from vcebench.errors import UserError
from vcebench.folders.manifest import new_manifest
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import Finished, open_store
from vcebench.jobs.merging import merge
from vcebench.jobs.session import measure_again
from vcebench.results.measurements import stored_runs
from vcebench.running.shards import parse_shard, shard_folder, undivided_folder
from vcebench.settings.config import build_config

Run = Callable[..., RunFolder]


def finished(index: int) -> Finished:
    fine = bool(index % 5)
    row = made_up_row(index, status="ok" if fine else "non-finite", flipped=fine)
    files = {f"inputs/i{index}.png": b"x%d" % index}
    if row.finite:
        files |= {f"counterfactuals/i{index}.png": b"y%d" % index, f"masks/i{index}.png": b"m"}
    return Finished(row, files)


def made_up(
    path: Path, limit: int, shard: tuple[int, int] | None, commit: int = 3, **values: Any
) -> Path:
    """A run folder with rows and files that are not results, committed in small steps."""
    config = build_config(
        method="maskdime", dataset="digits", task="3-8", limit=limit, shard=shard, **values
    )
    manifest = {
        **new_manifest(config, {}),
        "status": "finished",
        "sittings": [{"versions": {"torch": "2.14"}}],
    }
    with open_store(path, manifest) as store:
        indices = list(config.indices())
        for start in range(0, len(indices), commit):
            store.commit([finished(index) for index in indices[start : start + commit]])
    return path


def shards(root: Path, limit: int, n: int, **values: Any) -> list[Path]:
    return [made_up(shard_folder(root / "run", (i, n)), limit, (i, n), **values) for i in range(n)]


def files(folder: Path) -> dict[str, bytes]:
    kinds = ("inputs", "counterfactuals", "masks")
    return {
        f"{kind}/{path.name}": path.read_bytes()
        for kind in kinds
        for path in sorted(folder.glob(f"{kind}/*"))
    }


@given(
    limit=st.integers(1, 12),
    n=st.integers(1, 8),
    commit=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_any_number_of_shards_joins_to_the_undivided_run(
    limit: int, n: int, commit: int, order: Any
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        whole = made_up(root / "whole", limit, None)
        paths = shards(root, limit, n, commit=commit)
        order.shuffle(paths)
        joined, remarks = merge(paths)
        assert joined == root / "run"
        assert not remarks
        assert RunFolder(joined).rows() == RunFolder(whole).rows()
        assert RunFolder(joined).config() == RunFolder(whole).config()
        assert files(joined) == files(whole)
        assert merge(paths)[0] == joined  # again: it is there already


@pytest.mark.parametrize("n", [2, 5])
def test_shards_of_a_real_run_are_the_same_bits(tiny_run: Run, tmp_path: Path, n: int) -> None:
    whole = tiny_run("whole", limit=4, batch_size=2)
    paths = [
        tiny_run(f"part-shard-{i}-of-{n}", limit=4, batch_size=2, shard=(i, n)).path
        for i in range(n)
    ]
    joined = RunFolder(merge(paths)[0])
    same = [[{**vars(row), "seconds": 0} for row in run.rows()] for run in (joined, whole)]
    assert same[0] == same[1]
    assert files(joined.path) == files(whole.path)
    assert joined.manifest()["config_hash"] == whole.manifest()["config_hash"]
    # What an undivided run's command finds there is its own run, finished.
    assert tiny_run("part", limit=4, batch_size=2).rows() == joined.rows()


def test_seeds_are_joined_each_by_itself(tmp_path: Path) -> None:
    paths = []
    for i in range(2):
        folder = shard_folder(tmp_path / "run", (i, 2))
        for seed in (0, 1):
            made_up(folder / f"seed-{seed}", 4, (i, 2), seed=seed)
        paths.append(folder)
    joined, _ = merge(paths)
    for seed in (0, 1):
        run = RunFolder(joined / f"seed-{seed}")
        assert run.config().seed == seed
        assert len(run.rows()) == 4


def refused(paths: Sequence[Path], text: str, output: Path | None = None) -> None:
    with pytest.raises(UserError, match=text) as error:
        merge(paths, output)
    assert "\n" not in str(error.value)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    refused(shards(tmp_path, 8, 4)[:3], "shards 3 of 4 are missing")
    assert not (tmp_path / "run").exists()


def test_a_shard_given_twice_is_named(tmp_path: Path) -> None:
    paths = shards(tmp_path, 8, 2)
    refused([*paths, paths[1]], "shard 1 of 2 is given twice")


def test_an_incomplete_shard_is_named(tmp_path: Path) -> None:
    paths = shards(tmp_path, 8, 2, commit=2)
    (paths[1] / "shards/00001.parquet").unlink()
    refused(paths, r"run-shard-1-of-2 lacks 2 of 4 images; its own command continues it")


def test_another_configuration_is_shown(tmp_path: Path) -> None:
    first, _ = shards(tmp_path, 8, 2)
    other = made_up(tmp_path / "other", 8, (1, 2), seed=7)
    refused([first, other], r"not of one run \(seed: 0 → 7\)")


def test_two_divisions_do_not_mix(tmp_path: Path) -> None:
    refused([shards(tmp_path, 8, 2)[0], shards(tmp_path, 8, 3)[1]], "one of 2 shards, .* one of 3")


def test_a_whole_run_is_no_shard(tmp_path: Path) -> None:
    refused([made_up(tmp_path / "whole", 4, None)], "is not a shard")


def test_another_run_in_the_place_is_left_alone(tmp_path: Path) -> None:
    other = made_up(tmp_path / "run", 8, None, seed=3)
    before = files(other)
    refused(shards(tmp_path, 8, 2), r"exists and is another run \(seed: 3 → 0\)")
    assert files(other) == before
    (tmp_path / "thesis").mkdir()
    refused(shards(tmp_path, 8, 2), "exists and is not this run", tmp_path / "thesis")


def test_a_missing_file_is_named_and_nothing_appears(tmp_path: Path) -> None:
    paths = shards(tmp_path, 4, 2)
    (paths[0] / "inputs/i2.png").unlink()
    refused(paths, r"inputs/i2\.png is missing")
    assert not (tmp_path / "run").exists()


def test_a_merge_that_was_killed_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    paths = shards(tmp_path, 6, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", kill)
        with pytest.raises(Killed):
            merge(paths)
    assert not (tmp_path / "run").exists()
    merge(paths)
    assert len(RunFolder(tmp_path / "run").rows()) == 6
    assert not list(tmp_path.glob(".*"))


def test_shards_made_by_different_versions_are_remarked(tmp_path: Path) -> None:
    paths = shards(tmp_path, 4, 2)
    manifest = paths[1] / "manifest.json"
    manifest.write_text(manifest.read_text().replace("2.14", "2.13"))
    _, (remark,) = merge(paths)
    assert "different versions" in remark
    assert "2.13" in remark


def test_a_shard_is_neither_measured_nor_counted(tmp_path: Path) -> None:
    path, _ = shards(tmp_path, 4, 2)
    with pytest.raises(UserError, match="is a shard; `vcebench merge`"):
        measure_again(path)
    found, remarks = stored_runs(tmp_path)
    assert not found
    assert all("is a shard" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("text", "slurm", "expected"),
    [("0/1", None, (0, 1)), ("3/8", None, (3, 8)), ("/8", "5", (5, 8)), ("2/8", "5", (2, 8))],
)
def test_a_shard_is_read(text: str, slurm: str | None, expected: tuple[int, int]) -> None:
    assert parse_shard(text, {"SLURM_ARRAY_TASK_ID": slurm} if slurm else {}) == expected


@pytest.mark.parametrize(
    ("text", "slurm", "message"),
    [
        ("8/8", None, "counted from 0 to 7 .in Slurm: --array=0-7"),
        ("/8", "8", "shard 8 of 8 does not exist"),
        ("/8", None, "SLURM_ARRAY_TASK_ID is not set; say which, e.g. 0/8"),
        ("-1/8", None, "does not exist"),
        ("0/0", None, "does not exist"),
        ("3", None, "write i/n"),
        ("a/b", None, "write i/n"),
        ("/", "1", "write i/n"),
    ],
)
def test_a_wrong_shard_is_said_in_one_line(text: str, slurm: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_shard(text, {"SLURM_ARRAY_TASK_ID": slurm} if slurm else {})


def test_shards_lie_beside_the_run() -> None:
    folder = shard_folder(Path("runs/smile"), (3, 16))
    assert folder == Path("runs/smile-shard-3-of-16")
    assert undivided_folder(folder) == Path("runs/smile")


@given(limit=st.integers(1, 200), n=st.integers(1, 40))
def test_every_image_is_in_one_shard(limit: int, n: int) -> None:
    asked = {"method": "maskdime", "dataset": "digits", "task": "3-8", "limit": limit}
    parts = [build_config(**asked, shard=(i, n)) for i in range(n)]
    assert sorted(index for part in parts for index in part.indices()) == list(range(limit))
    assert max(len(p.indices()) for p in parts) - min(len(p.indices()) for p in parts) <= 1
    assert {part.digest() for part in parts} == {build_config(**asked).digest()}
