"""Quantisation, files and masks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vcebench.folders.images import (
    Codec,
    decode,
    dequantise,
    encode_masks,
    load_image,
    load_masks,
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
def test_masks_survive_their_file(tmp_path: Path, absent: str | None) -> None:
    z = torch.rand(1, 6, 7) > 0.3
    x = z & (torch.rand(1, 6, 7) > 0.5)
    content = encode_masks(None if absent == "z" else z, None if absent == "x" else x)
    assert content is not None
    (tmp_path / "m.png").write_bytes(content)
    found_z, found_x = load_masks(tmp_path / "m.png")
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


def test_load_image_reads_grey_files_as_rgb(tmp_path: Path) -> None:
    content = encode_masks(torch.ones(1, 4, 5, dtype=torch.bool), None)
    assert content is not None
    (tmp_path / "g.png").write_bytes(content)
    assert load_image(tmp_path / "g.png").shape == (3, 4, 5)
