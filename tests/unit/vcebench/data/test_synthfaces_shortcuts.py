"""Tasks with a planted shortcut: the faces they are posed on, and their truth."""

import numpy as np
import pytest

from vcebench.data.base import HasCue, HasTruth
from vcebench.data.registry import dataset_entry, open_dataset
from vcebench.data.synthfaces.dataset import TASKS, SynthFaces
from vcebench.data.synthfaces.scm import INDEX, NAMES
from vcebench.data.synthfaces.shortcuts import SHORTCUTS

FACES = range(40)
SINGLE = [name for name, shortcut in SHORTCUTS.items() if not shortcut.mixture]
MIXTURE = "smile-mixture-eyeglasses"


def others(*names):
    """Columns of all attributes but these."""
    return [INDEX[name] for name in NAMES if name not in names]


def test_the_registry_lists_the_tasks_of_the_set():
    assert dataset_entry("synthfaces").tasks == tuple(TASKS.values())


@pytest.mark.parametrize("task", SHORTCUTS)
def test_images_know_cue_and_truth(task):
    images = open_dataset("synthfaces", task)
    assert isinstance(images, HasCue)
    assert isinstance(images, HasTruth)
    assert images.cue == SHORTCUTS[task].cue


def test_other_tasks_have_no_cue_and_the_faces_of_the_causal_model():
    images = SynthFaces("smile")
    assert images.cue is None
    assert images.causes == ("Smiling",)
    assert not images.factors(FACES).intervened


@pytest.mark.parametrize("task", SINGLE)
def test_the_cue_is_on_every_other_face_and_nothing_else_is_set(task):
    cue = SHORTCUTS[task].cue
    drawn, posed = SynthFaces("smile").factors(FACES), SynthFaces(task).factors(FACES)
    assert posed.value(cue).tolist() == [False, True] * 20
    columns = others(cue)
    np.testing.assert_array_equal(posed.attributes[:, columns], drawn.attributes[:, columns])


def test_the_cue_of_a_mixture_goes_with_the_smile():
    posed = SynthFaces(MIXTURE).factors(FACES)
    np.testing.assert_array_equal(posed.value("Eyeglasses"), posed.value("Smiling"))
    assert 0 < posed.value("Smiling").sum() < len(FACES)


@pytest.mark.parametrize("task", SHORTCUTS)
def test_the_label_is_what_the_classifier_uses(task):
    images = SynthFaces(task)
    labels = images.labels(FACES)
    assert [images[i].label for i in (0, 1, 2)] == labels[:3].tolist()
    for cause in images.causes:
        np.testing.assert_array_equal(labels, images.factors(FACES).value(cause))


@pytest.mark.parametrize("task", SHORTCUTS)
def test_the_truth_sets_all_causes_and_single_truths_one_of_them(task):
    images = SynthFaces(task)
    index = 1
    target = 1 - images[index].label
    truth, single = images.truth(index, target), images.single_truths(index, target)
    assert list(single) == list(images.causes)
    assert all(one.region.any() for one in single.values())
    if len(single) == 1:
        assert (single[images.cue].counterfactual == truth.counterfactual).all()
    else:
        assert truth.region.sum() > max(one.region.sum() for one in single.values())


def test_the_region_of_the_patch_is_the_corner():
    region = SynthFaces("smile-shortcut-patch").truth(0, 1).region
    rows, columns = np.nonzero(region.numpy())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 10, 53, 61)


def test_a_truth_of_the_class_it_has_already_changes_nothing():
    images = SynthFaces(MIXTURE)
    assert not images.truth(0, images[0].label).region.any()
