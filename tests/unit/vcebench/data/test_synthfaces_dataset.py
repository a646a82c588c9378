"""`SynthFaces` as an image set: ids, labels, splits, truth, and the contact sheet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.data.base import HasTruth, ImageSet, Task
from vcebench.data.synthfaces.dataset import SPLITS, TASKS, SynthFaces
from vcebench.data.synthfaces.sheet import contact_sheet


@pytest.fixture(scope="module")
def faces() -> SynthFaces:
    return SynthFaces(split="test")


def test_it_is_an_image_set_with_truth(faces: SynthFaces):
    checked: ImageSet = faces
    assert isinstance(faces, HasTruth)
    assert (checked.name, checked.task.name, checked.split) == ("synthfaces", "smile", "test")
    assert checked.size == (64, 64)


@pytest.mark.parametrize(
    ("split", "count"),
    [("train", 20_000), ("val", 2_000), ("test", 2_000), ("oracle", 20_000), ("embedder", 20_000)],
)
def test_splits_have_the_specified_sizes(split: str, count: int):
    assert len(SynthFaces(split=split)) == count


def test_no_two_splits_share_a_person():
    ranges = sorted((r.start, r.start + r.count) for r in SPLITS.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))


def test_splits_differ_in_their_pictures():
    first = [SynthFaces(split=split).batch([0])[0].tobytes() for split in SPLITS]
    assert len(set(first)) == len(SPLITS)


@given(st.integers(0, 1999), st.sampled_from(sorted(TASKS)))
def test_an_example_agrees_with_its_batch(index: int, task: str):
    faces = SynthFaces(task, "test")
    example = faces[index]
    images, attributes = faces.batch([0, index])
    assert example.id == f"synthfaces-test-{index:05d}"
    assert example.image.dtype == torch.uint8
    assert np.array_equal(example.image.numpy(), images[1])
    assert example.label == faces.labels([index])[0]
    attribute = TASKS[task].attribute
    if attribute in faces.attribute_names:  # the patch is no attribute of a face
        assert example.label == int(attributes[1, faces.attribute_names.index(attribute)])


def test_attributes_need_no_pictures(faces: SynthFaces):
    _, attributes = faces.batch(range(5))
    assert attributes.shape == (5, len(faces.attribute_names))
    assert np.array_equal(faces.attributes(range(5)), attributes)


def test_another_seed_is_another_world():
    pictures = [SynthFaces(split="val", seed=seed).batch([7])[0].tobytes() for seed in (0, 0, 1)]
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_truth_is_local_and_labelled_with_the_target(task: str):
    faces = SynthFaces(task, "val")
    for index in range(6):
        example = faces[index]
        truth = faces.truth(index, 1 - example.label)
        share = truth.region.float().mean().item()
        assert 0.01 < share < (0.35 if task == "smile-shortcut-hat" else 0.20)
        assert truth.region.dtype == torch.bool
        difference = (truth.counterfactual.int() - example.image.int()).abs().amax(0)
        assert torch.equal(truth.region, difference > 2)
        assert torch.equal(faces.true_image(index, 1 - example.label), truth.counterfactual)


def test_truth_of_the_label_itself_is_the_example(faces: SynthFaces):
    truth = faces.truth(3, faces[3].label)
    assert torch.equal(truth.counterfactual, faces[3].image)
    assert not truth.region.any()


def test_truth_in_batches_is_the_same(faces: SynthFaces):
    images, regions = faces.truth_batch([4, 5], [1, 1])
    for row, index in enumerate((4, 5)):
        assert np.array_equal(images[row], faces.truth(index, 1).counterfactual.numpy())
        assert np.array_equal(regions[row], faces.truth(index, 1).region.numpy())


def test_draw_0_of_a_person_is_the_example_itself(faces: SynthFaces):
    images, _ = faces.identity_batch([9, 9, 9], [0, 1, 1])
    assert np.array_equal(images[0], faces.batch([9])[0][0])
    assert np.array_equal(images[1], images[2])
    assert not np.array_equal(images[0], images[1])


@pytest.mark.parametrize("index", [-1, 2000])
def test_an_index_outside_of_the_split_is_refused(faces: SynthFaces, index: int):
    with pytest.raises(IndexError, match="0 to 1999"):
        faces[index]


def test_near_names_are_offered():
    with pytest.raises(ValueError, match="smile"):
        SynthFaces("smiles")
    with pytest.raises(ValueError, match="train"):
        SynthFaces(split="trian")


def test_a_task_about_no_attribute_is_refused():
    with pytest.raises(ValueError, match="no attribute"):
        SynthFaces(Task("3-8", "pair", (3, 8), ("3", "8")))


def test_contact_sheet_shows_every_factor():
    sheet = contact_sheet(columns=3, rows=1, scale=1)
    assert sheet.mode == "RGB"
    assert sheet.height >= 64 * (1 + len(SynthFaces.attribute_names) + 1)
    assert np.asarray(sheet).std() > 20
