"""Digests of inputs and files."""

from __future__ import annotations

import hashlib

import torch

from vcebench.folders.digests import file_digests, input_digest

IMAGE = torch.arange(24, dtype=torch.uint8).reshape(3, 2, 4)


def test_an_input_is_its_shape_its_label_and_its_pixels() -> None:
    by_hand = hashlib.sha256(b"3x2x4 1\n" + bytes(range(24))).hexdigest()
    assert input_digest(IMAGE, 1) == by_hand


def test_another_shape_label_or_pixel_is_another_input() -> None:
    brighter = IMAGE.clone()
    brighter[2, 1, 3] += 1
    others = [
        input_digest(IMAGE.reshape(3, 4, 2), 1),
        input_digest(IMAGE, 0),
        input_digest(IMAGE, -1),
        input_digest(brighter, 1),
    ]
    assert len({input_digest(IMAGE, 1), *others}) == 5


def test_how_an_image_lies_in_memory_does_not_matter() -> None:
    scattered = IMAGE.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert not scattered.is_contiguous()
    assert input_digest(scattered, 1) == input_digest(IMAGE, 1)


def test_files_are_named_by_their_kind() -> None:
    found = file_digests({"inputs/a.png": b"x", "masks/a.png": b""})
    assert found == {
        k: hashlib.sha256(v).hexdigest() for k, v in {"inputs": b"x", "masks": b""}.items()
    }
