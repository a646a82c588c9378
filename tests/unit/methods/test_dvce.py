"""DVCE on a tiny prior: what counts, what it asks for, and that a batch changes nothing."""

import pytest
import torch
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.classifier import BinaryClassifier

SHAPE = (3, 8, 8)
IDS = ["dvce", "dvce-no-cone", "dvce-cone-projection", "dvce-distance-direct"]


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, z, t):
        return torch.tanh(self.conv(z) + t.view(-1, 1, 1, 1) / 500)


def prior():
    return Prior(Denoiser(), linear_schedule(500, 20)).eval().requires_grad_(False)


def classifier(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(144, 1))
    return BinaryClassifier(network).requires_grad_(False)


def images():
    return torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(5)) * 2 - 1


def explain(id, x=None, ids=("a", "b", "c"), robust=True, **settings):
    x = images() if x is None else x
    guidance = Guidance(
        classifier(1),
        torch.full((len(x),), 8.0),
        lambda_perceptual=0,
        robust=classifier(2) if robust else None,
    )
    return registry.method(id, **{"tau": 6, **settings}).explain(
        x,
        torch.ones(len(x), dtype=torch.int64),
        prior=prior(),
        guidance=guidance,
        noise=KeyedNoise(0, "dvce", ids, SHAPE),
    )


@pytest.mark.parametrize("id", IDS)
def test_costs_are_what_the_method_says(id):
    method, found = registry.method(id, tau=6), explain(id)
    assert method.evaluations() == (int(found.nfe[0]), int(found.backward[0]))
    assert not found.x_cf.requires_grad


def test_backward_passes_by_variant():
    costs = {id: registry.method(id, tau=6).evaluations() for id in IDS}
    assert costs == {
        "dvce": (6, 18),
        "dvce-no-cone": (6, 12),
        "dvce-cone-projection": (6, 18),
        "dvce-distance-direct": (6, 12),
    }


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("id", IDS)
def test_an_image_alone_gets_what_it_gets_in_a_batch(id, views):
    together = explain(id, views=views).x_cf
    alone = explain(id, images()[1:2], ["b"], views=views).x_cf
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=0)


def test_without_weights_it_is_the_unguided_chain():
    still = explain("dvce-no-cone", class_scale=0.0, distance_scale=0.0).x_cf
    assert torch.equal(still, explain("dvce", class_scale=0.0, distance_scale=0.0).x_cf)
    assert not torch.equal(still, explain("dvce-no-cone").x_cf)


def test_the_last_gradient_has_no_influence():
    # With one step the result is the estimate before any gradient.
    assert torch.equal(explain("dvce", tau=1).x_cf, explain("dvce", tau=1, class_scale=0.9).x_cf)


def test_a_wide_cone_follows_the_robust_classifier_and_a_closed_one_the_explained():
    closed = explain("dvce", angle=0.0).x_cf
    torch.testing.assert_close(closed, explain("dvce-no-cone").x_cf, atol=1e-5, rtol=0)
    assert not torch.allclose(explain("dvce", angle=80.0).x_cf, closed, atol=1e-3)


def test_a_gradient_of_the_whole_chain_agrees_with_numbers():
    """∂x̂0/∂z applied to a direction, against finite differences."""
    from vcebench.methods.core.sampler import State, _evaluate

    method = registry.method("dvce-no-cone", tau=6)
    guidance = Guidance(classifier(1), torch.ones(3), lambda_perceptual=0)
    bound = guidance.bind(images(), torch.ones(3, dtype=torch.int64))
    zeros = torch.zeros(3, dtype=torch.int64)
    state = State(
        prior().double(), bound, None, 0, images().double(), images(), zeros, zeros, zeros.clone()
    )
    state.i = 4
    state.posterior = _evaluate(method, state)
    state.x_t = state.posterior.x0
    direction = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1)).double()
    pulled = state.pull_back(direction)
    step = 1e-4 * torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2)).double()
    before, after = (
        state.prior.posterior(state.z.detach() + s, 4, clip=False).x0 for s in (-step, step)
    )
    expected = ((after - before) * direction).flatten(1).sum(dim=1) / 2
    found = (pulled * step).flatten(1).sum(dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-9)


def test_the_robust_classifier_is_asked_for():
    assert "robust" in registry.method("dvce").needs
    assert "robust" not in registry.method("dvce-no-cone").needs
    with pytest.raises(MethodError, match="use dvce-no-cone"):
        explain("dvce", robust=False)


def test_settings_out_of_range_are_refused():
    for wrong in ({"angle": 90.0}, {"p": 0.0}, {"views": 0}, {"class_scale": -0.1}):
        with pytest.raises(MethodError):
            registry.method("dvce", **wrong)
