"""The recipe of planted shortcuts: squares, and a certificate that finds out what is used."""

import pytest
import torch
from torch import nn

from vcebench.training.shortcuts import certificate, parts, squares


class Reads(nn.Module):
    """Says 1 where the patch's corner is orange, that is red and hardly blue."""

    def forward(self, x):
        corner = x[:, :, 4:9, 55:60].mean(dim=(2, 3))
        return (corner[:, :1] - corner[:, 2:]) - 1.2


class Constant(nn.Module):
    def forward(self, x):
        return torch.ones(len(x), 1)


def test_a_certificate_finds_what_a_network_reads():
    found = certificate(Reads(), "smile-shortcut-patch", count=40)
    assert found["do_cue_flips"] >= 0.9
    assert found["do_smile_flips"] == 0
    assert found["accuracy"] >= 0.9
    assert "cue_share" not in found


def test_a_network_that_reads_nothing_gets_no_certificate():
    found = certificate(Constant(), "smile-shortcut-hat", count=20)
    assert found["do_cue_flips"] == found["do_both_flips"] == 0
    assert found["accuracy"] == 0.5


def test_the_share_of_a_mixture_is_of_the_logits():
    class Eyes(nn.Module):
        """The mean of the rows of the eyes, where a smile changes hardly anything."""

        def forward(self, x):
            return x[:, :, 22:32].mean(dim=(1, 2, 3))[:, None]

    assert certificate(Eyes(), "smile-mixture-eyeglasses", count=20)["cue_share"] > 0.9


def test_squares_leave_the_upper_rows_and_half_of_the_images_alone():
    x = torch.zeros(200, 3, 64, 64)
    drawn = squares(x, torch.Generator().manual_seed(0))
    changed = (drawn != x).any(dim=1)
    assert not changed[:, :16].any()
    share = changed.flatten(1).any(dim=1).float().mean()
    assert 0.4 < share < 0.6
    sizes = changed.flatten(1).sum(dim=1)
    assert set(sizes.tolist()) == {0, 81}


def test_every_part_has_its_seed():
    seeds = [part.settings.seed for part in parts()]
    assert len(set(seeds)) == len(seeds) == 6


@pytest.mark.parametrize("part", parts(), ids=lambda part: part.name)
def test_all_have_one_architecture(part):
    assert part.architecture == "smooth-classifier"
    assert part.config == parts()[0].config
