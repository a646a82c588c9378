"""Every mode of a picture becomes the 8-bit RGB that a person would call right."""

import io

import numpy as np
import pytest
from PIL import Image

from vcebench.data.pixels import UnknownRangeError, to_rgb

LEVELS = np.arange(0, 256, 5, dtype=np.uint8)[None].repeat(4, 0)


def opened(array, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    buffer.seek(0)
    return Image.open(buffer)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG2000", "PPM"])
def test_16_bits_are_scaled_from_their_range(form):
    met = []
    found = to_rgb(opened(LEVELS.astype(np.uint16) * 257, form), met=met.append)
    assert np.array_equal(np.array(found), LEVELS[..., None].repeat(3, 2))
    assert met == ["deep"]


def test_16_bits_of_a_12_bit_instrument_are_told():
    met = []
    to_rgb(opened(LEVELS.astype(np.uint16) * 16, "PNG"), met=met.append)
    assert met == ["deep", "dim"]


def test_white_may_be_zero():
    picture = opened((65535 - LEVELS.astype(np.uint16) * 257), "TIFF", tiffinfo={262: 0})
    assert np.array_equal(np.array(to_rgb(picture))[..., 0], LEVELS)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        ((LEVELS / 255).astype(np.float32), "mode F, floating point from 0 to 1"),
        (LEVELS.astype(np.int32) * 257, "mode I, 32-bit integers from 0 to 65535"),
    ],
    ids=["float", "int32"],
)
def test_values_without_a_range_are_refused_with_mode_and_range(array, words):
    with pytest.raises(UnknownRangeError, match=words):
        to_rgb(opened(array, "TIFF"))


def transparent(mode):
    picture = Image.new("RGBA", (2, 1), (200, 10, 10, 255))
    picture.putpixel((0, 0), (0, 0, 0, 0))  # black hides behind it
    if mode == "P":
        palette = Image.new("P", (2, 1))
        palette.putpalette([0, 0, 0, 200, 10, 10])
        palette.putdata([0, 1])
        palette.info["transparency"] = 0
        return palette
    if mode == "RGB":
        plain = Image.new("RGB", (2, 1), (200, 10, 10))
        plain.putpixel((0, 0), (0, 0, 0))
        plain.info["transparency"] = (0, 0, 0)
        return plain
    return picture.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
@pytest.mark.parametrize("colour", [(255, 255, 255), (1, 2, 3)], ids=["white", "another"])
def test_transparent_pixels_show_the_background(mode, colour):
    met = []
    found = to_rgb(transparent(mode), colour, met.append)
    assert found.getpixel((0, 0)) == colour
    assert found.getpixel((1, 0)) != colour
    assert met == ["transparent"]


def test_an_opaque_alpha_channel_is_no_transparency():
    met = []
    found = to_rgb(Image.new("RGBA", (2, 2), (9, 8, 7, 255)), met=met.append)
    assert found.getpixel((0, 0)) == (9, 8, 7)
    assert met == []


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_other_modes_are_as_pillow_converts_them(mode):
    picture = Image.fromarray(LEVELS).convert("RGB").convert(mode)
    assert np.array_equal(np.array(to_rgb(picture)), np.array(picture.convert("RGB")))
