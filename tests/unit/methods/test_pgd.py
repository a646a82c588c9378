"""The attack: it stays in its ball, goes where the gradient says, and needs no prior."""

import pytest
import torch
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule

EPSILON = 0.02


def attack(world, **settings):
    x, target, prior, guidance, noise = world
    return registry.method("pgd", **{"epsilon": EPSILON, "tau": 10, **settings}).explain(
        x, target, prior=prior, guidance=guidance, noise=noise
    )


class Linear:
    """The margin towards 1 is the sum of the pixels."""

    def margin(self, x, target, source=None):
        return (2 * target - 1) * x.sum(dim=(1, 2, 3))

    def predict(self, x):
        return (x.sum(dim=(1, 2, 3)) > 0).long()


def test_on_a_linear_classifier_every_pixel_goes_to_the_border_of_the_box(world):
    _, _, prior, _, noise = world
    x = torch.zeros(3, 3, 12, 12)
    x[:, :, 0] = 0.99  # too near the end of the range for a whole radius
    target = torch.tensor([1, 0, 1])
    found = registry.method("pgd", epsilon=EPSILON, tau=10).explain(
        x,
        target,
        prior=prior,
        guidance=Guidance(Linear(), torch.full((3,), 8.0), lambda_perceptual=0),
        noise=noise,
    )
    change = found.x_cf - x
    torch.testing.assert_close(change[0, :, 1:], torch.full((3, 11, 12), 2 * EPSILON))
    torch.testing.assert_close(change[1, :, 1:], torch.full((3, 11, 12), -2 * EPSILON))
    torch.testing.assert_close(found.x_cf[0, :, 0], torch.ones(3, 12))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_change_stays_in_the_ball_and_raises_the_margin(world, norm):
    x, target, _, guidance, _ = world
    x_cf = attack(world, norm=norm).x_cf
    change = (x_cf - x) / 2
    size = change.abs().amax(dim=(1, 2, 3))
    if norm == "l2":
        size = change.square().mean(dim=(1, 2, 3)).sqrt()
    radius = EPSILON * guidance.lambda_class / 8
    assert (size <= radius * (1 + 1e-5)).all()
    assert (size > radius / 2).all()
    assert x_cf.abs().max() <= 1
    margin = guidance.classifier.margin
    assert (margin(x_cf, target) > margin(x, target)).all()


def test_a_zero_gradient_moves_nothing(world):
    x, target, prior, _, noise = world

    class Constant(Linear):
        def margin(self, x, target, source=None):
            return (x * 0).sum(dim=(1, 2, 3))

    for norm in ("linf", "l2"):
        found = registry.method("pgd", tau=3, norm=norm, random_start=False).explain(
            x,
            target,
            prior=prior,
            guidance=Guidance(Constant(), torch.full((3,), 8.0), lambda_perceptual=0),
            noise=noise,
        )
        assert torch.equal(found.x_cf, x)


def test_the_start_is_random_but_keyed(world):
    first, again = attack(world, tau=1), attack(world, tau=1)
    clean = attack(world, tau=1, random_start=False)
    assert torch.equal(first.x_cf, again.x_cf)
    assert not torch.equal(first.x_cf, clean.x_cf)


def test_no_prior_is_evaluated(world):
    class Never(nn.Module):
        def forward(self, z, t):
            raise AssertionError("the prior was asked")

    x, target, _, guidance, noise = world
    found = registry.method("pgd", tau=2).explain(
        x,
        target,
        prior=Prior(Never(), linear_schedule(500, 50)),
        guidance=guidance,
        noise=noise,
    )
    assert found.nfe.tolist() == [0, 0, 0]


def test_settings_are_checked():
    with pytest.raises(MethodError, match="unknown norm 'l3'"):
        registry.method("pgd", norm="l3")
    with pytest.raises(MethodError, match="epsilon"):
        registry.method("pgd", epsilon=0.0)
