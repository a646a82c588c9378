"""Masks of one's own, from a folder."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vcebench.data.base import Task
from vcebench.data.files import Geometry
from vcebench.data.folder import folder_set
from vcebench.data.listing import list_all
from vcebench.data.masks import MaskFolder
from vcebench.data.registry import open_dataset
from vcebench.errors import UserError

TASK = Task("a-b", "binary", (0, 1), ("a", "b"))


def own(folder):
    return folder_set("own", TASK, folder, list_all(folder), Geometry(16, 16))


@pytest.fixture
def photos(tmp_path):
    """Two pictures of 40x20 pixels that networks see as 16x16, cropped."""
    for name in ("first", "second"):
        (tmp_path / "images" / "a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (200, 90, 30)).save(tmp_path / "images" / "a" / f"{name}.png")
    return own(tmp_path / "images")


def save(path, pixels, mode="L"):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).convert(mode).save(path)


def full(height, width, value=255):
    return np.full((height, width), value)


def test_a_mask_of_the_files_size_is_cropped_as_the_image_is(photos, tmp_path):
    pixels = full(20, 40, 0)
    pixels[:, 20:] = 1  # anything above 0 may change
    save(tmp_path / "masks" / "first.png", pixels)
    mask = MaskFolder(tmp_path / "masks").mask(photos, 0, "first")
    assert mask.shape == (1, 16, 16)
    assert mask[..., 8:].all()
    assert not mask[..., :8].any()


def test_a_mask_may_have_the_size_that_networks_see(photos, tmp_path):
    pixels = full(16, 16, 0)
    pixels[3, 5] = 255
    save(tmp_path / "masks" / "first.png", pixels)
    mask = MaskFolder(tmp_path / "masks").mask(photos, 0, "first")
    assert mask.nonzero().tolist() == [[0, 3, 5]]


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P"])
def test_every_kind_of_png_will_do(photos, tmp_path, mode):
    pixels = full(16, 16, 0)
    pixels[3, 5] = 255
    save(tmp_path / "masks" / "first.png", pixels, mode)
    mask = MaskFolder(tmp_path / "masks").mask(photos, 0, "first")
    assert mask.nonzero().tolist() == [[0, 3, 5]]


def test_the_faintest_colour_counts_and_a_transparent_one_does_not(photos, tmp_path):
    """Blue of 1 is no grey level; what an eraser leaves has a colour under it that nobody sees."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[3, 5] = (0, 0, 1, 255)
    pixels[7, 7] = (255, 255, 255, 0)
    (tmp_path / "masks").mkdir()
    Image.fromarray(pixels, "RGBA").save(tmp_path / "masks" / "first.png")
    mask = MaskFolder(tmp_path / "masks").mask(photos, 0, "first")
    assert mask.nonzero().tolist() == [[0, 3, 5]]


def test_the_lowest_level_of_sixteen_bits_counts(photos, tmp_path):
    pixels = np.zeros((16, 16), np.uint16)
    pixels[3, 5] = 1
    (tmp_path / "masks").mkdir()
    Image.fromarray(pixels).save(tmp_path / "masks" / "first.png")
    mask = MaskFolder(tmp_path / "masks").mask(photos, 0, "first")
    assert mask.nonzero().tolist() == [[0, 3, 5]]


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40))])
def test_a_mask_lies_as_the_image_is_seen(tmp_path, orientation, size):
    """A photo taken upright is stored lying; a mask of the other way round would be misplaced."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "images" / "a").mkdir(parents=True)
    picture = Image.new("RGB", (40, 20), (200, 90, 30))
    picture.save(tmp_path / "images" / "a" / "photo.jpg", exif=exif)
    images = own(tmp_path / "images")
    folder = MaskFolder(tmp_path / "masks")
    save(tmp_path / "masks" / "photo.png", full(*size))  # (height, width): the wrong way round
    with pytest.raises(UserError, match=f"its image has {size[0]}x{size[1]} or 16x16"):
        folder.mask(images, 0, "photo")
    save(tmp_path / "masks" / "photo.png", full(*size[::-1]))
    assert folder.mask(images, 0, "photo").all()


def test_an_image_that_is_left_out_needs_no_mask(photos, tmp_path):
    (tmp_path / "images" / "a" / "second.png").write_bytes(b"nothing")
    save(tmp_path / "masks" / "first.png", full(16, 16))
    folder = MaskFolder(tmp_path / "masks")
    assert folder.check(photos, range(2), skip_bad=True) == ()
    with pytest.raises(UserError, match="--skip-bad"):
        folder.check(photos, range(2))


def test_what_lacks_is_named(photos, tmp_path):
    with pytest.raises(UserError, match="holds no masks"):
        _ = MaskFolder(tmp_path / "nothing").files
    save(tmp_path / "masks" / "first.png", full(16, 16))
    folder = MaskFolder(tmp_path / "masks")
    with pytest.raises(UserError, match=r"has no mask a_second\.png\.png; paint one"):
        folder.check(photos, range(2))
    assert folder.check(photos, range(1)) == ()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [(full(16, 16, 0), "marks no pixel"), (full(17, 16), r"16x17 pixels; its image has 40x20 or")],
)
def test_empty_masks_and_other_sizes_are_refused(photos, tmp_path, pixels, message):
    save(tmp_path / "masks" / "first.png", pixels)
    with pytest.raises(UserError, match=message):
        MaskFolder(tmp_path / "masks").mask(photos, 0, "first")


def test_strangers_are_told(photos, tmp_path):
    for name in ("first", "second", "stranger"):
        save(tmp_path / "masks" / f"{name}.png", full(16, 16))
    assert MaskFolder(tmp_path / "masks").check(photos, range(2)) == ("stranger",)


def test_the_whole_id_wins_and_a_shared_name_is_refused(photos, tmp_path):
    (tmp_path / "images" / "b").mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "images" / "b" / "first.png")
    images = own(tmp_path / "images")
    save(tmp_path / "masks" / "first.png", full(16, 16))
    ids = [images[k].id for k in range(len(images))]
    folder = MaskFolder(tmp_path / "masks")
    for index, image_id in enumerate(ids):
        if "first" in image_id:
            with pytest.raises(UserError, match=f"call the mask of this one {image_id}"):
                folder.mask(images, index, image_id)
    one = full(16, 16, 0)
    one[0, 0] = 1
    save(tmp_path / "masks" / f"{ids[0]}.png", one)
    assert MaskFolder(tmp_path / "masks").mask(images, 0, ids[0]).sum() == 1


def test_a_link_that_leads_out_is_refused(photos, tmp_path):
    save(tmp_path / "elsewhere" / "first.png", full(16, 16))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "first.png").symlink_to(tmp_path / "elsewhere" / "first.png")
    with pytest.raises(UserError, match="leads out of"):
        MaskFolder(tmp_path / "masks").mask(photos, 0, "first")


def test_the_digest_is_of_names_and_contents(tmp_path):
    for folder, name, value in (("a", "x", 9), ("b", "x", 9), ("c", "y", 9), ("d", "x", 8)):
        save(tmp_path / folder / f"{name}.png", full(4, 4, value))
    a, b, c, d = (MaskFolder(tmp_path / folder).digest() for folder in "abcd")
    assert a == b
    assert len({a, c, d}) == 3


def test_embedded_sets_have_one_size(tmp_path):
    digits = open_dataset("digits")
    name = digits[0].id
    save(tmp_path / "masks" / f"{name}.png", full(28, 28))
    with pytest.raises(UserError, match="28x28 pixels; its image has 32x32"):
        MaskFolder(tmp_path / "masks").mask(digits, 0, name)


@given(content=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_brings_it_down(photos, tmp_path, content):
    folder = tmp_path / "masks"
    folder.mkdir(exist_ok=True)
    (folder / "first.png").write_bytes(content)
    with pytest.raises(UserError):
        MaskFolder(folder).mask(photos, 0, "first")


def test_masks_are_booleans(photos, tmp_path):
    save(tmp_path / "masks" / "first.png", full(20, 40))
    mask = MaskFolder(tmp_path / "masks").mask(photos, 0, "first")
    assert mask.dtype == torch.bool
    assert mask.all()
