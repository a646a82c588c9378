"""The prior's loss."""

import pytest
import torch
from torch import nn

from vcebench.training.diffusion import DiffusionLoss, discretised_log_likelihood, gaussian_kl


class Constant(nn.Module):
    """Predicts no noise, and the middle of the variance range."""

    def __init__(self):
        super().__init__()
        self.output = nn.Parameter(torch.zeros(1, 6, 1, 1))

    def forward(self, z, t):
        return self.output.expand(len(z), -1, *z.shape[2:])


def test_kl_of_equal_gaussians_is_zero_and_matches_torch_otherwise():
    a, b, c, d = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(gaussian_kl(a, b, a, b), torch.zeros(5, dtype=torch.float64))
    p = torch.distributions.Normal(a, (b / 2).exp())
    q = torch.distributions.Normal(c, (d / 2).exp())
    torch.testing.assert_close(gaussian_kl(a, b, c, d), torch.distributions.kl_divergence(p, q))


def test_discretised_likelihood_sums_to_one_over_the_levels():
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    mean = torch.tensor(0.3, dtype=torch.float64)
    log_p = discretised_log_likelihood(levels, mean, torch.tensor(-3.0, dtype=torch.float64))
    assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_most_timesteps_are_below_the_focus():
    t = DiffusionLoss(500, focus=160, share=0.8).timesteps(20_000, torch.Generator().manual_seed(0))
    assert (t < 160).float().mean() == pytest.approx(0.8 + 0.2 * 160 / 500, abs=0.01)
    assert t.max() < 500


def test_predicting_no_noise_costs_about_one():
    x = torch.rand(64, 3, 8, 8) * 2 - 1
    value = DiffusionLoss(500, share=0.0)(Constant(), x, torch.Generator().manual_seed(0))
    assert 0.9 < float(value.detach()) < 3


def test_the_bound_trains_the_variance_only():
    """The noise channels get the gradient of the mean squared error, 2·mean(-noise)/2, alone."""
    network = Constant()
    x = torch.rand(8, 3, 8, 8) * 2 - 1
    DiffusionLoss(500)(network, x, torch.Generator().manual_seed(0)).backward()
    gradient = network.output.grad[0, :, 0, 0]

    generator = torch.Generator().manual_seed(0)
    DiffusionLoss(500).timesteps(8, generator)
    noise = torch.randn(x.shape, generator=generator)
    torch.testing.assert_close(gradient[:3], -2 * noise.mean(dim=(0, 2, 3)) / 3)
    assert gradient[3:].abs().min() > 0


def test_equal_generators_give_equal_losses():
    x = torch.rand(4, 3, 8, 8) * 2 - 1
    values = [
        float(DiffusionLoss()(Constant(), x, torch.Generator().manual_seed(3)).detach())
        for _ in range(2)
    ]
    assert values[0] == values[1]
