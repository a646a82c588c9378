"""Quantisation, files and masks."""

from __future__ import annotations

import io
import resource
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vcebench.folders.images import (
    LARGEST_SIDE,
    Codec,
    decode,
    decode_masks,
    dequantise,
    encode_masks,
    quantise,
    truncate,
    write_atomic,
)

LEVELS = torch.arange(256, dtype=torch.uint8)


def noisy_image() -> torch.Tensor:
    return torch.randint(0, 256, (3, 8, 9), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )


def test_every_level_survives_the_way_to_networks_and_back() -> None:
    assert torch.equal(quantise(dequantise(LEVELS)), LEVELS)


def test_dequantised_levels_span_minus_one_to_one() -> None:
    assert dequantise(LEVELS)[[0, 255]].tolist() == [-1.0, 1.0]


def test_quantise_rounds_to_the_nearest_level_and_clamps() -> None:
    values = torch.tensor([-1.2, -1 + 0.4 / 127.5, -1 + 0.6 / 127.5, 1.3])
    assert quantise(values).tolist() == [0, 0, 1, 255]


def test_truncate_cuts_levels_off() -> None:
    assert truncate(torch.tensor([-1 + 0.9 / 127.5, 1.0])).tolist() == [0, 255]


def test_png_keeps_every_pixel() -> None:
    image = noisy_image()
    assert torch.equal(decode(Codec("png").encode(image)), image)


def test_jpeg_is_judged_as_a_reader_will_see_it() -> None:
    codec = Codec("jpeg")
    image = noisy_image()
    assert torch.equal(codec.stored(image), decode(codec.encode(image)))
    assert not torch.equal(codec.stored(image), image)


@pytest.mark.parametrize("absent", [None, "z", "x"])
def test_masks_survive_their_file(absent: str | None) -> None:
    z = torch.rand(1, 6, 7) > 0.3
    x = z & (torch.rand(1, 6, 7) > 0.5)
    content = encode_masks(None if absent == "z" else z, None if absent == "x" else x)
    assert content is not None
    found_z, found_x = decode_masks(content)
    everywhere = torch.ones(6, 7, dtype=torch.bool)
    assert torch.equal(found_z, everywhere if absent == "z" else z[0])
    assert torch.equal(found_x, everywhere if absent == "x" else x[0])


def test_no_masks_no_file() -> None:
    assert encode_masks(None, None) is None


def test_atomic_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.bin", b"one")
    write_atomic(tmp_path / "a.bin", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"two"


def file_of(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def forged() -> dict[str, bytes]:
    """Files that are no image of a run, some of them made to hurt."""
    grey = encode_masks(torch.ones(1, 4, 5, dtype=torch.bool), None)
    assert grey is not None
    small, wide = Image.new("RGB", (4, 4)), Image.new("RGB", (LARGEST_SIDE + 1, 1))
    note = PngInfo()
    note.add_itxt("a", "b" * (65 << 20), zip=True)
    return {
        "of the kind L": grey,
        "of the kind RGBA": file_of(Image.new("RGBA", (4, 4)), "PNG"),
        "4097x1 pixels": file_of(wide, "PNG"),
        "no PNG or JPEG": file_of(small, "EPS"),
        "truncated": file_of(Image.effect_noise((64, 64), 50).convert("RGB"), "PNG")[:-400],
        "no PNG or JPEG file": b"",
        "Decompressed data too large": file_of(small, "PNG", pnginfo=note),
    }


@pytest.mark.parametrize("reason", forged())
def test_what_is_no_image_of_a_run_is_refused_in_words(reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(forged()[reason])


def test_a_small_picture_that_inflates_to_gigabytes_takes_no_memory() -> None:
    ends = zlib.compressobj()
    body = ends.compress(b"\0" * 4) + b"".join(ends.compress(bytes(1 << 24)) for _ in range(64))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", body + ends.flush()),
        (b"IEND", b""),
    ]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(ValueError):
        assert decode(content).shape == (3, 1, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # in KiB
