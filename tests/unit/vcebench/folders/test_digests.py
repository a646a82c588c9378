import hashlib

import pytest
import torch

from vcebench.folders.digests import file_digests, input_digest

IMAGE = torch.arange(3 * 4 * 5, dtype=torch.uint8).view(3, 4, 5)


def test_equal_inputs_have_equal_digests_wherever_their_memory_lies():
    turned = IMAGE.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert input_digest(turned, 1) == input_digest(IMAGE.clone(), 1)


@pytest.mark.parametrize(
    ("image", "label"),
    [(IMAGE, 0), (IMAGE, -1), (IMAGE.view(3, 5, 4), 1), (IMAGE ^ 1, 1), (IMAGE.flip(2), 1)],
    ids=["another label", "no label", "another shape", "another level", "mirrored"],
)
def test_another_input_has_another_digest(image, label):
    assert input_digest(image, label) != input_digest(IMAGE, 1)


def test_an_input_is_its_shape_its_type_its_label_and_its_pixels():
    by_hand = hashlib.sha256(b"(3, 4, 5) torch.uint8 1\n" + bytes(range(60)))
    assert input_digest(IMAGE, 1) == by_hand.hexdigest()


def test_files_are_named_by_their_kind():
    content = {"inputs": b"x", "masks": b""}
    found = file_digests({f"{kind}/a.png": value for kind, value in content.items()})
    assert found == {kind: hashlib.sha256(value).hexdigest() for kind, value in content.items()}
