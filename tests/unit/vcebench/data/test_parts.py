"""Where things are in rendered pictures."""

import pytest
import torch

from vcebench.data.base import HasRegions
from vcebench.data.registry import UnknownNameError
from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.data.synthroads.dataset import SynthRoads

SETS = {"synthfaces": lambda: SynthFaces("smile", "test"), "synthroads": SynthRoads}


@pytest.mark.parametrize("name", SETS)
def test_every_part_is_somewhere_and_not_everywhere(name):
    images = SETS[name]()
    assert isinstance(images, HasRegions)
    for part in images.parts:
        region = images.region(3, part)
        assert region.dtype == torch.bool
        assert region.shape == images.size
        assert 0 < region.float().mean() < 0.6, part


@pytest.mark.parametrize("name", SETS)
def test_without_a_part_it_is_where_the_true_counterfactual_differs(name):
    images = SETS[name]()
    for index in range(4):
        truth = images.truth(index, 1 - images[index].label)
        assert torch.equal(images.region(index), truth.region)


def test_a_part_covers_all_its_causes():
    images = SynthFaces("smile", "test")
    more = []
    for index in range(8):
        mouth, smile = images.region(index, "mouth"), images.region(index)
        assert not (smile & ~mouth).any()
        more.append(bool((mouth & ~smile).any()))
    assert any(more)


def test_a_mouth_is_below_the_eyebrows():
    images = SynthFaces("smile", "test")
    rows = {p: images.region(1, p).nonzero()[:, 0].float().mean() for p in ("mouth", "eyebrows")}
    assert rows["mouth"] > rows["eyebrows"] + 8


def test_planted_tasks_have_the_region_of_their_cue():
    images = SynthFaces("smile-shortcut-hat", "test")
    assert torch.equal(images.region(2), images.region(2, "hat"))


def test_unknown_parts_name_the_nearest():
    with pytest.raises(UnknownNameError, match="mouth"):
        SynthFaces().region(0, "mout")
