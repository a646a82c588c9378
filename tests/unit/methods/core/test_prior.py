"""The prior: other networks, other spacings, who listens, and gradients through it."""

import numpy as np
import pytest
import torch

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.prior import ByClass, ConditionalPrior, Prior
from vcebench.methods.core.sampler import chain
from vcebench.methods.core.schedule import Schedule, linear_schedule, scaled_linear_schedule
from vcebench.methods.core.space import Pixels
from vcebench.models.unet import UNet, UNetConfig


@pytest.fixture(scope="module")
def prior():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet(UNetConfig(model_channels=32, channel_mult=(1, 2), num_res_blocks=1))
        for parameter in network.parameters():  # it starts from zeros
            parameter.data.add_(0.02 * torch.randn_like(parameter))
    return Prior(network.eval().requires_grad_(False), linear_schedule(500, 50))


def test_another_spacing_is_that_of_the_same_full_chain(prior):
    respaced = prior.respaced(200)
    wanted = linear_schedule(500, 200)
    np.testing.assert_array_equal(respaced.schedule.betas, wanted.betas)
    np.testing.assert_array_equal(respaced.schedule.timestep_map, wanted.timestep_map)
    assert respaced.network is prior.network
    assert (len(prior.schedule), len(respaced.respaced(50).schedule)) == (50, 50)


def test_a_schedule_without_its_full_chain_cannot_be_respaced():
    made_by_hand = Schedule(np.array([0.1, 0.2]), np.array([0, 5]))
    with pytest.raises(ValueError, match="does not know its full chain"):
        made_by_hand.respaced(1)


def test_over_another_network_the_given_prior_stays(prior):
    seen = []

    class Wrapped(torch.nn.Module):
        def forward(self, z, t):
            seen.append(len(z))
            return prior.network(z, t)

    z = torch.randn(2, 3, 16, 16)
    other = prior.over(Wrapped())
    assert torch.equal(other.posterior(z, 3).mean, prior.posterior(z, 3).mean)
    assert seen == [2]


def test_whoever_observes_is_told_of_evaluations_and_not_of_recomputations(prior):
    images, calls = [], []
    handle = prior.network.register_forward_pre_hook(lambda *_: calls.append(1))
    observed = prior.observed(images.append).respaced(25)
    z = torch.randn(2, 3, 16, 16, requires_grad=True)
    end = chain(observed, z, 4, None, differentiable=True)
    assert images == [2] * 4
    torch.autograd.grad(end.sum(), z)
    handle.remove()
    assert images == [2] * 4
    assert len(calls) == 8
    prior.posterior(z, 0)
    assert len(images) == 4


def test_gradients_through_a_chain_are_the_bits_of_the_whole_graph(prior):
    draws = torch.randn(4, 2, 3, 16, 16)
    z = torch.randn(2, 3, 16, 16, requires_grad=True)
    end = chain(prior, z, 4, lambda n: draws[n], differentiable=True)
    (ours,) = torch.autograd.grad(end.square().sum(), z)
    whole = z
    for n, i in enumerate((3, 2, 1, 0)):
        posterior = prior.from_output(whole, i, prior.evaluate(whole, i))
        whole = posterior.sample(draws[n]) if i else posterior.mean
    (theirs,) = torch.autograd.grad(whole.square().sum(), z)
    assert torch.equal(end, whole)
    assert torch.equal(ours, theirs)


def test_the_graph_of_a_chain_holds_images_and_no_activations(prior):
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    z = torch.randn(1, 3, 16, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        chain(prior, z, 3, None, differentiable=True)
    assert kept
    assert max(kept) <= 6 * 16 * 16


def test_a_chain_is_not_differentiated_unless_asked(prior):
    z = torch.randn(1, 3, 16, 16, requires_grad=True)
    with torch.enable_grad():
        assert not chain(prior, z, 2, None).requires_grad


def test_the_estimate_is_clipped_unless_asked_otherwise(prior):
    z = 3 * torch.randn(1, 3, 16, 16)
    assert prior.posterior(z, 40).x0.abs().max() <= 1
    assert prior.posterior(z, 40, clip=False).x0.abs().max() > 1


class Told(torch.nn.Module):
    """Sees as noise what it is told, and the timestep."""

    def forward(self, z, t, context):
        return context.mean(dim=(1, 2)).view(-1, 1, 1, 1) + 0 * z + t.view(-1, 1, 1, 1)


@pytest.fixture
def conditional():
    contexts = {0: torch.full((2, 3), 1.0), 1: torch.full((2, 3), 2.0)}
    schedule = scaled_linear_schedule(0.00085, 0.012, 20, 1, "float32")
    return ConditionalPrior(Told(), schedule, ByClass(torch.zeros(2, 3), contexts), Pixels())


def test_a_bound_prior_sees_every_image_under_its_conditions(conditional):
    images = []
    bound = conditional.observed(images.append).bind(torch.tensor([1, 0]), torch.tensor([0, 1]))
    z = torch.zeros(2, 3, 4, 4)
    null, source, target = bound.noises(z, 1, "null", "source", "target")
    assert [e[:, 0, 0, 0].tolist() for e in (null, source, target)] == [
        [51.0, 51.0],
        [52.0, 53.0],
        [53.0, 52.0],
    ]
    assert images == [6]


def test_a_conditional_posterior_is_that_without_condition(conditional):
    bound = conditional.bind(torch.tensor([1, 0]))
    found = bound.posterior(torch.zeros(2, 3, 4, 4), 0, clip=False)
    assert found.noise[:, 0, 0, 0].tolist() == [1.0, 1.0]
    assert found.conditioned is not None
    assert found.conditioned[:, 0, 0, 0].tolist() == [3.0, 2.0]
    assert found.detached().conditioned is not None


def test_a_class_without_words_is_named(conditional):
    with pytest.raises(MethodError, match="class 7"):
        conditional.bind(torch.tensor([1, 7]))


def test_a_prior_without_conditions_is_bound_to_anything(prior):
    assert prior.bind(torch.tensor([0])) is prior
