"""Adam's moments, image by image."""

import torch

from vcebench.methods.core.adam import Moments


def test_steps_are_those_of_torch():
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=1.0)
    moments, ours = Moments.zeros(x.detach()), torch.zeros(2, 3, dtype=torch.float64)
    for seed in range(5):
        gradient = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)).double()
        x.grad = gradient.clone()
        optimizer.step()
        moments = moments.updated(gradient)
        ours = ours - moments.direction()
        torch.testing.assert_close(ours, x.detach())


def test_the_first_step_is_a_sign():
    gradient = torch.tensor([[3.0, -0.02, 5e-7, 0.0]])
    step = Moments.zeros(gradient).updated(gradient).direction()
    torch.testing.assert_close(step, torch.tensor([[1.0, -1.0, 0.98, 0.0]]), atol=0.01, rtol=0)


def test_an_image_that_rests_keeps_its_moments_and_its_count():
    gradient = torch.ones(2, 4)
    once = Moments.zeros(gradient).updated(gradient)
    twice = once.updated(2 * gradient, active=torch.tensor([True, False]))
    assert twice.k.tolist() == [2, 1]
    assert torch.equal(twice.m[1], once.m[1])
    assert torch.equal(twice.v[1], once.v[1])
    assert torch.equal(twice.direction()[1], once.direction()[1])
    assert torch.equal(twice.m[0], once.updated(2 * gradient).m[0])


def test_constants_stay_with_the_moments():
    moments = Moments(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1).long(), (0.5, 0.5), 1.0)
    gradient = torch.full((1, 1), 2.0)
    torch.testing.assert_close(moments.updated(gradient).direction(), gradient / (2 + 1))
    assert moments.updated(gradient).updated(gradient, torch.tensor([True])).betas == (0.5, 0.5)
