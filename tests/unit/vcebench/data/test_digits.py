"""The digits data set: real scans, a fixed split, tasks between two classes."""

import pytest
import torch

from vcebench.data.digits import SPLITS, arrays, split_indices
from vcebench.data.registry import open_dataset

FIRST_OF_TEST = (153, 721, 1248, 1830)


def test_splits_are_disjoint_and_cover_all_scans():
    indices = [i for split in SPLITS for i in split_indices(split)]
    assert sorted(indices) == list(range(5000))


@pytest.mark.parametrize(("split", "each"), [("train", 400), ("val", 50), ("test", 50)])
def test_every_class_has_its_share(split, each):
    assert arrays(split)[1].bincount().tolist() == [each] * 10


def test_the_split_never_changes():
    assert split_indices("test")[:4] == FIRST_OF_TEST


def test_a_task_takes_turns_between_its_two_classes():
    images = open_dataset("digits", "4-9", "val")
    assert [images[i].label for i in range(4)] == [4, 9, 4, 9]
    assert len(images) == 100


def test_scans_are_grey_padded_and_use_the_full_range():
    image = open_dataset("digits")[0].image
    assert image.shape == (3, 32, 32)
    assert image.dtype == torch.uint8
    assert torch.equal(image[0], image[2])
    assert image[:, :2].max() == 0
    assert image.max() > 200


def test_ids_are_unique_and_name_the_scan():
    images = open_dataset("digits")
    ids = {images[i].id for i in range(len(images))}
    assert len(ids) == len(images)
    assert images[0].id == f"digits-{FIRST_OF_TEST[3]:05d}"


def test_an_example_cannot_change_the_data_set():
    images = open_dataset("digits")
    images[0].image.zero_()
    assert images[0].image.max() > 0
