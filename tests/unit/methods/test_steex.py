"""STEEX: codes of regions move, those not named stay, and so does the layout."""

import pytest
import torch
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import Extras
from vcebench.methods.core.noise import KeyedNoise
from vcebench.models.classifier import BinaryClassifier

SHAPE = (3, 4, 4)


class Flat:
    """Every region has one colour, its code."""

    regions = ("sky", "sea", "land")

    def encode(self, x, segments):
        codes = torch.zeros(len(x), 3, 3)
        for code, picture, where in zip(codes, x, segments, strict=True):
            for r in where.unique().tolist():
                code[r] = picture[:, where == r].mean(dim=1)
        return codes

    def decode(self, segments, z):
        rows = torch.arange(len(z))[:, None, None]
        return z[rows, segments.long()].permute(0, 3, 1, 2)


class Brightness(nn.Module):
    def forward(self, x):
        return 4 * x.mean(dim=(1, 2, 3))


def halves(count=2):
    segments = torch.zeros(count, 4, 4, dtype=torch.uint8)
    segments[:, 2:] = 1
    return segments


def explain(count=2, extras=None, **settings):
    method = registry.method("steex", **{"learning_rate": 0.05, "iterations": 20, **settings})
    x = torch.full((count, *SHAPE), -0.25)
    found = method.explain(
        x,
        torch.ones(count, dtype=torch.int64),
        prior=None,
        guidance=Guidance(BinaryClassifier(Brightness()), torch.ones(count), lambda_perceptual=0),
        noise=KeyedNoise(0, "steex", [str(n) for n in range(count)], SHAPE),
        extras=extras or Extras(autoencoder=Flat(), segments=halves(count)),
    )
    return x, found


def test_the_look_of_all_regions_changes_and_each_keeps_its_place():
    x, found = explain()
    assert (found.x_cf.mean(dim=(1, 2, 3)) > x.mean(dim=(1, 2, 3))).all()
    assert (found.x_cf[:, :, :2] == found.x_cf[:, :, :1, :1]).all()
    assert found.nfe.tolist() == found.backward.tolist() == [20, 20]


def test_the_picture_is_that_before_the_last_step():
    x, found = explain(iterations=1)
    assert torch.equal(found.x_cf, x)


def test_only_named_regions_move():
    x, found = explain(regions="sea")
    assert torch.equal(found.x_cf[:, :, :2], x[:, :, :2])
    assert (found.x_cf[:, :, 2:] > x[:, :, 2:]).all()


def test_a_region_that_is_not_there_changes_nothing():
    x, found = explain(regions="land")
    assert torch.equal(found.x_cf, x)


def test_proximity_holds_codes():
    x, free = explain(proximity=0.0)
    _, held = explain(proximity=5.0)
    assert (held.x_cf - x).abs().mean() < (free.x_cf - x).abs().mean()


def test_an_unknown_region_is_named_with_its_neighbours():
    with pytest.raises(MethodError, match="'sea'"):
        explain(regions="see")


def test_it_needs_maps_and_a_network_for_them():
    with pytest.raises(MethodError, match="segments="):
        explain(extras=Extras(autoencoder=Flat()))
