"""Files inside a run folder: nothing outside is read or written, whatever lies there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vcebench.errors import UserError
from vcebench.folders import inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "others").mkdir()
    (tmp_path / "others/a.png").write_bytes(b"secret")
    folder = tmp_path / "run"
    (folder / "inputs").mkdir(parents=True)
    (folder / "inputs/a.png").write_bytes(b"picture")
    return folder


def test_files_are_read_written_listed_and_removed(root: Path) -> None:
    assert inside.read(root, "inputs/a.png") == b"picture"
    inside.write(root, "new/deeper/b.png", b"1")
    inside.write_lasting(root, "new/deeper/b.png", b"2")
    assert inside.read(root, "new/deeper/b.png") == b"2"
    assert inside.names(root, "new/deeper") == ["b.png"]
    assert inside.names(root, "nowhere") == []
    inside.remove(root, "new/deeper/b.png")
    inside.remove(root, "new/deeper/b.png")
    assert not inside.exists(root, "new/deeper/b.png")
    assert not inside.exists(root, "inputs/a.png/b")
    with pytest.raises(FileNotFoundError):
        inside.read(root, "new/deeper/b.png")


def test_the_run_folder_itself_may_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(root)
    assert inside.read(tmp_path / "linked", "inputs/a.png") == b"picture"


@pytest.mark.parametrize(
    "name", ["../secret.png", "inputs/../../secret.png", "/etc/passwd", "inputs//a.png", "a\0b", ""]
)
@pytest.mark.parametrize(
    "use",
    [
        inside.read,
        inside.exists,
        inside.names,
        inside.remove,
        lambda root, name: inside.write(root, name, b"x"),
    ],
)
def test_names_that_lead_out_are_refused(
    root: Path, tmp_path: Path, name: str, use: Callable[..., object]
) -> None:
    with pytest.raises(UserError, match="leads out of"):
        use(root, name)
    assert (tmp_path / "secret.png").read_bytes() == b"secret"


def test_no_link_is_followed(root: Path, tmp_path: Path) -> None:
    (root / "inputs/b.png").symlink_to(tmp_path / "secret.png")
    (root / "masks").symlink_to(tmp_path / "others")
    for name in ("inputs/b.png", "masks/a.png"):
        with pytest.raises(UserError, match="is a link"):
            inside.read(root, name)
    with pytest.raises(UserError, match="is a link"):
        inside.names(root, "masks")
    with pytest.raises(UserError, match="is a link"):
        inside.write(root, "masks/new.png", b"x")
    assert sorted(os.listdir(tmp_path / "others")) == ["a.png"]


def test_links_in_the_way_of_writing_are_replaced_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "metrics.json").symlink_to(tmp_path / "secret.png")
    (root / ".metrics.json.tmp").symlink_to(tmp_path / "secret.png")
    inside.write_lasting(root, "metrics.json", b"{}")
    assert (tmp_path / "secret.png").read_bytes() == b"secret"
    assert not (root / "metrics.json").is_symlink()
    assert inside.read(root, "metrics.json") == b"{}"
    (root / "inputs/c.png").symlink_to(tmp_path / "secret.png")
    inside.remove(root, "inputs/c.png")
    assert (tmp_path / "secret.png").exists()


def test_another_name_of_a_file_keeps_its_content(root: Path, tmp_path: Path) -> None:
    os.link(root / "inputs/a.png", tmp_path / "copy.png")
    inside.write(root, "inputs/a.png", b"made again")
    assert (tmp_path / "copy.png").read_bytes() == b"picture"


def test_pipes_and_folders_are_no_files(root: Path) -> None:
    os.mkfifo(root / "inputs/pipe.png")
    (root / "inputs/folder.png").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UserError, match="no plain file"):
            inside.read(root, f"inputs/{name}.png")


@pytest.mark.parametrize("name", ["manifest.json", "inputs/big.png", "note"])
def test_giants_are_refused_unread(root: Path, name: str) -> None:
    with (root / name).open("wb") as file:
        file.truncate(inside.LARGEST.get(Path(name).suffix, 1 << 20) + 1)  # sparse: no disk used
    with pytest.raises(UserError, match="MiB, at most"):
        inside.read(root, name)


@pytest.mark.parametrize(
    "id", ["a", "synthfaces-test-00000", "cherry_wide_one.png", "Ärger 1", "猫", "<b>", "x" * 200]
)
def test_ids_that_are_names(id: str) -> None:
    assert inside.check_id(id) == id


@pytest.mark.parametrize(
    "id", ["", ".", "..", ".hidden", "../a", "a/b", "a\\b", "a\nb", "a\0", "x" * 201, "猫" * 67]
)
def test_ids_that_are_none(id: str) -> None:
    with pytest.raises(ValueError, match="no id of an image"):
        inside.check_id(id)
