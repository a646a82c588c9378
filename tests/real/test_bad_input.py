"""Damaged images, links that lead out, wrong files: one clear line each."""

import pytest
from PIL import Image

from vcebench.data.files import BadImageError, Geometry, read_picture
from vcebench.data.ids import safe_name
from vcebench.data.listing import list_csv, list_folder
from vcebench.data.registry import open_dataset
from vcebench.errors import UserError
from vcebench.running.runner import pending
from vcebench.settings.config import build_config


@pytest.fixture
def celeba(celeba_tree):
    root = celeba_tree()
    return open_dataset("celeba", root=root), root / "celeba" / "img_align_celeba"


def truncate(path):
    path.write_bytes(path.read_bytes()[:900])


def one_line_of(error, *words):
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def config(**values):
    return build_config(method="maskdime", dataset="celeba", task="smile", limit=2, **values)


def test_truncated_jpeg_is_named(celeba):
    images, folder = celeba
    truncate(folder / "162771.jpg")
    with pytest.raises(BadImageError) as error:
        list(pending(config(), images, ()))
    one_line_of(error, "162771.jpg", "truncated", "--skip-bad")


def test_truncated_jpeg_is_skipped_and_counted(celeba, capsys):
    images, folder = celeba
    truncate(folder / "162771.jpg")
    skipped = {}
    items = list(pending(config(skip_bad=True), images, (), skipped))
    assert [item.id for item in items] == ["162772"]
    assert list(skipped) == ["0"]
    assert "162771.jpg" in skipped["0"]
    captured = capsys.readouterr()
    assert "162771.jpg" in captured.err
    assert not captured.out


def test_missing_image_is_named(celeba):
    images, folder = celeba
    (folder / "162772.jpg").unlink()
    with pytest.raises(BadImageError) as error:
        images[1]
    one_line_of(error, "162772.jpg", "missing")


def test_image_of_another_size_is_named(celeba):
    images, folder = celeba
    Image.new("RGB", (256, 256)).save(folder / "162771.jpg")
    with pytest.raises(BadImageError) as error:
        images[0]
    one_line_of(error, "256x256", "178x218")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"GIF89a"])
def test_no_image_is_named(tmp_path, content):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(BadImageError) as error:
        read_picture(path, Geometry(8, 8))
    one_line_of(error, "picture.png", "cannot be decoded")


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (64, 64)).save(tmp_path / "large.png")
    with pytest.raises(BadImageError, match=r"large.png"):
        read_picture(tmp_path / "large.png", Geometry(8, 8))


def test_link_that_leads_out_of_the_root_is_refused(celeba, tmp_path):
    images, folder = celeba
    Image.new("RGB", (178, 218)).save(tmp_path / "private.jpg")
    (folder / "162771.jpg").unlink()
    (folder / "162771.jpg").symlink_to(tmp_path / "private.jpg")
    with pytest.raises(UserError, match="leads out of") as error:
        list(pending(config(skip_bad=True), images, ()))
    assert not isinstance(error.value, BadImageError)


def test_root_may_be_a_link_itself(celeba_tree, tmp_path):
    root = celeba_tree()
    (tmp_path / "link").symlink_to(root)
    assert open_dataset("celeba", root=tmp_path / "link")[0].id == "162771"


@pytest.mark.parametrize("name", ["../private.jpg", "/etc/hostname", "a/../../private.jpg"])
def test_list_that_leads_out_of_the_root_is_refused(tmp_path, name):
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "private.jpg").touch()
    (tmp_path / "labels.csv").write_text(f"file,label\n{name},0\n")
    with pytest.raises(UserError, match="leads out of"):
        list_csv(tmp_path / "labels.csv", folder)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "needs a first line"),
        ("path,class\na.png,b\n", "needs a first line"),
        ("file,label\na.png,pear\n", "line 2: label 'pear'"),
        ("file,label\na.png\n", "line 2, column 2: no label"),
    ],
)
def test_wrong_csv_is_named(tmp_path, content, text):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UserError, match=text):
        list_csv(tmp_path / "labels.csv", tmp_path, ("plum", "cherry"))


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no image"):
        list_folder(tmp_path)
    (tmp_path / "class").mkdir()
    with pytest.raises(UserError, match="holds no image"):
        list_folder(tmp_path)


def test_names_become_file_names():
    assert safe_name("a b/ü.png") == "a_b_.png"
    assert safe_name("../.hidden") == "_.hidden"
