"""Opening data sets by name."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from vcebench.data.registry import DATASETS, UnknownNameError, dataset_entry, open_dataset


def test_default_task_and_split():
    images = open_dataset("digits")
    assert (images.name, images.task.name, images.split) == ("digits", "3-8", "test")


@pytest.mark.parametrize("name", DATASETS)
def test_default_task_is_a_task(name):
    entry = DATASETS[name]
    assert entry.task().name == entry.default_task


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digit",), "data set 'digit'.*digits"),
        (("digits", "3-9"), "task of digits '3-9'.*3-8"),
        (("digits", "3-8", "tests"), "split of digits 'tests'.*test"),
    ],
)
def test_unknown_names_show_the_nearest(arguments, message):
    with pytest.raises(UnknownNameError, match=message):
        open_dataset(*arguments)


def test_digits_take_no_folder(tmp_path):
    with pytest.raises(ValueError, match="no data folder"):
        open_dataset("digits", root=tmp_path)


def test_listing_opens_no_data_set():
    code = (
        "import sys, vcebench.data.registry as r; r.DATASETS;"
        "sys.exit(any(m.startswith(('mlxtend', 'vcebench.data.digits')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tasks_of_digits_are_pairs():
    pairs = [(3, 8), (4, 9), (1, 7), (3, 8), (3, 8)]
    assert [t.classes for t in dataset_entry("digits").tasks] == pairs


@pytest.mark.parametrize(
    ("dataset", "task", "kinds"),
    [
        ("digits", "3-8", ("plain", "robust")),
        ("synthfaces", "smile", ("plain", "robust")),
        ("synthroads", "forward-slowdown", ("plain",)),
    ],
)
def test_other_classifiers_are_asked_the_same_about_the_same_images(dataset, task, kinds):
    entry = dataset_entry(dataset)
    own = open_dataset(dataset, task, "val")
    for kind in kinds:
        other = open_dataset(dataset, f"{task}-{kind}", "val")
        assert replace(other.task, name=task) == entry.task(task)
        for one, same in zip((own[0], own[7]), (other[0], other[7]), strict=True):
            assert (one.id, one.label) == (same.id, same.label)
            assert torch.equal(one.image, same.image)
