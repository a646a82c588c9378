"""Damaged runs are repaired: what is damaged is made again, byte for byte, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vcebench.errors import UserError
from vcebench.folders import inside
from vcebench.folders.damage import damages
from vcebench.folders.rows import to_table
from vcebench.folders.runfolder import RunFolder
from vcebench.running import runner

Run = Callable[..., RunFolder]


def files(folder: RunFolder) -> dict[str, bytes]:
    """Everything about the images of a run, rows included."""
    found = sorted(path for path in folder.path.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in found
        if path.parent != folder.path
    }


def remove(folder: RunFolder, kind: str, index: int) -> None:
    (folder.path / folder.name(kind, folder.rows()[index].id)).unlink()


def truncate(folder: RunFolder, kind: str, index: int) -> None:
    path = folder.path / folder.name(kind, folder.rows()[index].id)
    path.write_bytes(path.read_bytes()[:100])


def exchange(folder: RunFolder, kind: str, index: int) -> None:
    one, other = (folder.name(kind, folder.rows()[i].id) for i in (index, index + 1))
    shutil.copyfile(folder.path / other, folder.path / one)


def link(folder: RunFolder, kind: str, index: int) -> None:
    path = folder.path / folder.name(kind, folder.rows()[index].id)
    path.rename(folder.path.parent / "elsewhere")
    path.symlink_to(folder.path.parent / "elsewhere")


Damage = Callable[[RunFolder, str, int], None]


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the images that runs ask for."""
    asked: list[str] = []
    pending = runner.pending

    def watched(*arguments: Any, **options: Any) -> Any:
        for item in pending(*arguments, **options):
            asked.append(item.id)
            yield item

    monkeypatch.setattr(runner, "pending", watched)
    return asked


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("inputs", truncate),
        ("inputs", exchange),
        ("counterfactuals", remove),
        ("counterfactuals", exchange),
        ("masks", remove),
        ("trace", truncate),
    ],
)
def test_a_damaged_file_is_made_again_byte_for_byte(
    tiny_run: Run, explained: list[str], capsys, kind: str, damage: Damage
) -> None:
    folder = tiny_run(trace=3)
    before = files(folder)
    damage(folder, kind, 1)
    (found,) = damages(folder)
    assert found.row == folder.rows()[1]
    explained.clear()
    capsys.readouterr()
    tiny_run()  # without --trace, which is no part of the configuration
    assert explained == [folder.rows()[1].id]
    assert files(folder) == before
    assert not list(damages(folder))
    said = capsys.readouterr().err
    assert "1 files of 1 images are missing, damaged or exchanged" in said
    assert "1 images were made again, byte for byte" in said


def test_several_damages_of_an_image_are_one_repair(tiny_run: Run, explained: list[str]) -> None:
    folder = tiny_run()
    before = files(folder)
    for kind in ("inputs", "counterfactuals"):
        remove(folder, kind, 0)
        truncate(folder, kind, 3)
    explained.clear()
    tiny_run()
    assert sorted(explained) == sorted(folder.rows()[i].id for i in (0, 3))
    assert files(folder) == before


def test_a_damaged_shard_is_set_aside_and_its_images_made_again(
    tiny_run: Run, explained: list[str], contents: Callable[..., Any]
) -> None:
    folder = tiny_run()
    rows, pictures = folder.rows(), contents(folder)
    (first,) = folder.shards()
    lost = {row.id for row in folder.rows_of(first.name)}
    first.write_bytes(first.read_bytes()[:-7])
    first.with_suffix(".copy").unlink()
    explained.clear()
    tiny_run()
    assert set(explained) == lost
    assert (first.parent / f"{first.name}.damaged").exists()
    assert contents(folder) == pictures
    made = [{**vars(row), "seconds": 0} for row in folder.rows()]
    assert made == [{**vars(row), "seconds": 0} for row in rows]


@pytest.mark.parametrize("how", ["damaged", "lost"])
def test_a_finished_runs_rows_come_back_from_their_copy(
    tiny_run: Run, explained: list[str], capsys, how: str
) -> None:
    folder = tiny_run()
    before = files(folder)
    (shard,) = folder.shards()
    if how == "lost":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-7])
    (found,) = damages(folder)
    assert found.error.name == "shards/00000.parquet"
    explained.clear()
    capsys.readouterr()
    tiny_run()
    assert explained == []
    assert files(folder) == before
    assert "its copy is put back" in capsys.readouterr().err


def test_rows_without_digests_are_repaired_where_damage_shows(tiny_run: Run, contents) -> None:
    folder = tiny_run()
    pictures = contents(folder)
    rows = folder.rows()
    for shard in folder.shards():
        shard.unlink()
    old = to_table(rows).drop_columns(["files_sha256", "input_sha256"])
    pq.write_table(old, folder.path / "shards/00000.parquet")
    remove(folder, "counterfactuals", 0)
    truncate(folder, "masks", 2)
    assert len(list(damages(folder))) == 2
    tiny_run()
    assert contents(folder) == pictures
    assert not list(damages(folder))
    assert [row.files_sha256 is None for row in folder.rows()] == [
        index not in (0, 2) for index in range(len(rows))
    ]


def test_what_comes_out_otherwise_is_stored_and_said(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    folder = tiny_run()
    before = folder.rows()
    remove(folder, "counterfactuals", 1)
    quantise = "vcebench.folders.images.Codec.quantise"
    monkeypatch.setattr(quantise, lambda self, image: (image > 0).to(image.dtype).mul(255).byte())
    tiny_run()
    assert "1 images came out with other bytes than before" in capsys.readouterr().err
    assert not list(damages(folder))
    after = folder.rows()
    assert [a == b for a, b in zip(after, before, strict=True)] == [i != 1 for i in range(6)]


def test_a_repair_that_was_killed_goes_on(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    folder = tiny_run()
    before = files(folder)
    for index in range(4):
        remove(folder, "counterfactuals", index)
        truncate(folder, "inputs", index)
    write = inside.write

    def kill_at(moment: int) -> Callable[..., None]:
        left = iter(range(moment))

        def writing(root: Path, name: str, content: bytes) -> None:
            if next(left, None) is None:
                place = root / name  # half a file under its temporary name
                place.with_name(f".{place.name}.tmp").write_bytes(content[:50])
                raise Killed
            write(root, name, content)

        return writing

    for moment in (0, 1, 3):
        with monkeypatch.context() as patch:
            patch.setattr(inside, "write", kill_at(moment))
            with pytest.raises(Killed):
                tiny_run()
    tiny_run()
    assert files(folder) == before


def test_a_link_is_refused_not_repaired(tiny_run: Run) -> None:
    folder = tiny_run()
    link(folder, "counterfactuals", 1)
    with pytest.raises(UserError, match="is a link"):
        tiny_run()
    with pytest.raises(UserError, match="is a link"):
        list(damages(folder))
