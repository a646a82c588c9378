"""`SynthRoads` as an image set: ids, labels, splits, truth, and the contact sheet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.data.base import HasTruth, ImageSet, Task
from vcebench.data.registry import dataset_entry, open_dataset
from vcebench.data.synthroads import scm
from vcebench.data.synthroads.dataset import SPLITS, TASKS, SynthRoads
from vcebench.data.synthroads.sheet import contact_sheet

SIZES = {"train": 20_000, "val": 2_000, "test": 2_000, "oracle": 20_000}


@pytest.fixture(scope="module")
def scenes() -> SynthRoads:
    return SynthRoads(split="test")


def test_it_is_an_image_set_with_truth(scenes: SynthRoads):
    checked: ImageSet = scenes
    assert isinstance(scenes, HasTruth)
    assert (checked.name, checked.task.name) == ("synthroads", "forward-slowdown")
    assert checked.size == (64, 128)


def test_the_registry_opens_it_with_the_same_task_and_splits():
    entry = dataset_entry("synthroads")
    assert (entry.tasks, set(entry.splits)) == (tuple(TASKS.values()), set(SPLITS))
    assert open_dataset("synthroads").split == "test"


def test_splits_have_the_stated_sizes_and_share_no_scene():
    assert {split: len(SynthRoads(split=split)) for split in SPLITS} == SIZES
    ranges = sorted((r.start, r.start + r.count) for r in SPLITS.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))


@pytest.mark.parametrize("split", ["val", "test"])
def test_labels_are_balanced(split: str):
    assert 0.4 < SynthRoads(split=split).labels(range(2000)).mean() < 0.6


@given(st.integers(0, 1999))
def test_an_example_agrees_with_its_batch(index: int):
    scenes = SynthRoads(split="test")
    example = scenes[index]
    images, causes = scenes.batch([0, index])
    assert example.id == f"synthroads-test-{index:05d}"
    assert example.image.dtype == torch.uint8
    assert np.array_equal(example.image.numpy(), images[1])
    stops = causes[1, [scenes.cause_names.index(name) for name in scm.STOPPING]]
    assert example.label == scenes.labels([index])[0] == int(not stops.any())


def test_another_seed_is_another_world():
    pictures = [SynthRoads(split="val", seed=seed).batch([7])[0].tobytes() for seed in (0, 0, 1)]
    assert pictures[0] == pictures[1] != pictures[2]


def test_truth_is_local_and_the_example_itself_for_its_own_label(scenes: SynthRoads):
    for index in range(6):
        example = scenes[index]
        truth = scenes.truth(index, 1 - example.label)
        difference = (truth.counterfactual.int() - example.image.int()).abs().amax(0)
        assert torch.equal(truth.region, difference > 2)
        assert torch.equal(scenes.true_image(index, 1 - example.label), truth.counterfactual)
        assert 0.005 < truth.region.float().mean().item() < 0.2
        assert not scenes.truth(index, example.label).region.any()


def test_truth_in_batches_is_the_same(scenes: SynthRoads):
    images, regions = scenes.truth_batch([4, 5], [1, 0])
    for row, (index, target) in enumerate(((4, 1), (5, 0))):
        truth = scenes.truth(index, target)
        assert np.array_equal(images[row], truth.counterfactual.numpy())
        assert np.array_equal(regions[row], truth.region.numpy())


@pytest.mark.parametrize("index", [-1, 2000])
def test_an_index_outside_of_the_split_is_refused(scenes: SynthRoads, index: int):
    with pytest.raises(IndexError, match="0 to 1999"):
        scenes[index]


def test_unknown_names_show_the_nearest_and_foreign_tasks_are_refused():
    with pytest.raises(ValueError, match="forward-slowdown"):
        SynthRoads("forward-slow")
    with pytest.raises(ValueError, match="train"):
        SynthRoads(split="trian")
    with pytest.raises(ValueError, match="no task of synthroads"):
        SynthRoads(Task("smile", "binary", (0, 1), ("no", "yes"), "Smiling"))


def test_contact_sheet_has_a_line_for_the_label_and_every_cause():
    sheet = contact_sheet(columns=3, rows=1, scale=1)
    assert sheet.height >= 64 * (2 + len(scm.NAMES))
    assert np.asarray(sheet).std() > 20
