"""LDCE: only directions count, and the condition filters them."""

import pytest
import torch
from tiny_latents import tiny_latents
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.methods.ldce import distance_gradient
from vcebench.models.classifier import BinaryClassifier

NOISE = KeyedNoise(0, "ldce", ["a", "b"], (3, 12, 12))


class Mean(nn.Module):
    def __init__(self, slope=1.0):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return self.slope * x.mean(dim=(1, 2, 3))


def explain(name="ldce-txt", slope=1.0, prior=None, **settings):
    x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1
    method = registry.method(name, **{"tau": 4, "chain": 20, **settings})
    guidance = Guidance(BinaryClassifier(Mean(slope)), torch.ones(2), lambda_perceptual=0)
    found = method.explain(
        x, torch.tensor([1, 0]), prior=prior or tiny_latents(), guidance=guidance, noise=NOISE
    )
    return x, found


def test_how_steep_a_classifier_is_does_not_matter():
    _, flat = explain(slope=0.01)
    _, steep = explain(slope=1.0)
    torch.testing.assert_close(flat.x_cf, steep.x_cf, atol=1e-4, rtol=0)


def test_without_any_angle_everything_agrees():
    _, all_of_it = explain(angle=180.0)
    _, agnostic = explain("ldce-no-consensus")
    assert torch.equal(all_of_it.x_cf, agnostic.x_cf)
    assert bool(all_of_it.mask_x.all())
    assert agnostic.mask_x is None


def test_agreement_is_shown_at_the_size_of_images():
    _, found = explain(angle=70.0)
    assert found.mask_x.shape == (2, 1, 12, 12)
    assert 0 < found.mask_x.float().mean() < 1
    assert torch.equal(found.mask_x[:, :, ::2, ::2], found.mask_x[:, :, 1::2, 1::2])


def test_the_condition_alone_asks_no_classifier():
    _, steep = explain("ldce-txt-free", slope=1.0)
    _, other = explain("ldce-txt-free", slope=-1.0)
    assert torch.equal(steep.x_cf, other.x_cf)


def test_distance_pulls_to_the_input():
    x, free = explain("ldce-no-distance")
    _, held = explain(distance_scale=3.0)
    assert (held.x_cf - x).abs().mean() < (free.x_cf - x).abs().mean()


def test_the_distance_has_no_slope_where_it_is_clamped():
    x_t, x = torch.tensor([-1.5, -0.5, 0.5, 1.5]), torch.zeros(4)
    assert distance_gradient(x_t, x).tolist() == [0.0, -0.5, 0.5, 0.0]


def test_a_network_that_is_told_nothing_is_refused():
    class Plain(nn.Module):
        def forward(self, z, t):
            return z

    plain = Prior(Plain(), scaled_linear_schedule(0.00085, 0.012, 20, 1, "float32"))
    with pytest.raises(MethodError, match="give a ConditionalPrior"):
        explain(prior=plain)
