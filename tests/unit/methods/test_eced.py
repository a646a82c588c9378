"""ECED: only its region moves, and every image has a decoder of its own."""

import pytest
import torch
from tiny_latents import TinyCoder, tiny_latents
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.methods.core.space import Latents
from vcebench.methods.eced import tune
from vcebench.models.classifier import BinaryClassifier

NOISE = KeyedNoise(0, "eced", ["a", "b"], (3, 12, 12))


class Brightness(nn.Module):
    """Sees brightness, so that bright pixels are the region."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.conv.weight, 1.0)

    def forward(self, x):
        return self.conv(x)[:, 0].mean(dim=(1, 2))


def images():
    x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1)) - 0.9
    x[:, :, :6, :6] += 0.8
    return x


def explain(name="eced-v", prior=None, **settings):
    few = {"iterations": 3, "denoising_steps": 2, "chain": 20, "tuning_steps": 3}
    allowed = registry.METHODS[name].parameters()
    few = {key: value for key, value in few.items() if key in allowed}
    method = registry.method(name, **{**few, **settings})
    classifier = BinaryClassifier(Brightness()).requires_grad_(False)
    guidance = Guidance(classifier, torch.ones(2), lambda_perceptual=0)
    return method.explain(
        images(),
        torch.tensor([1, 1]),
        prior=prior or tiny_latents(),
        guidance=guidance,
        noise=NOISE,
    )


def test_outside_of_the_region_an_attack_changes_nothing():
    slow, fast = (explain(learning_rate=rate) for rate in (1e-4, 0.5))
    # The tiny decoder makes four pixels of each latent, and of no other.
    inside = slow.mask_x[:, :, 1::2, 1::2].repeat_interleave(2, 2).repeat_interleave(2, 3)
    change = (slow.x_cf - fast.x_cf).abs().amax(dim=1, keepdim=True)
    assert change[inside].mean() > 1e-3
    assert not change[~inside].any()


def test_without_pruning_the_rest_moves_too():
    assert not torch.equal(explain("eced-no-prune", learning_rate=0.5).x_cf, explain().x_cf)


def test_a_threshold_of_zero_is_the_whole_image():
    assert bool(explain(threshold=0.0).mask_x.all())


def test_tuning_brings_the_background_nearer():
    space, x = tiny_latents().space, images()[:1]
    outside = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    outside[:, :, 6:] = True
    z = space.encode(x)
    moved, own = tune(space, x, z, outside, lambda at, step: at, 20, 1e-2)

    def error(of, at):
        return (of.decode(at) - x)[outside.expand_as(x)].square().mean()

    assert error(own, moved) < 0.9 * error(space, z)
    assert torch.equal(space.decode(z), tiny_latents().space.decode(z))


def test_without_steps_nothing_is_tuned():
    space, x = tiny_latents().space, images()[:1]
    z = space.encode(x)
    assert tune(space, x, z, x[:, :1] > 2, lambda at, step: at, 0, 1.0) == (z, space)


def test_what_it_cannot_do_without_is_named():
    schedule = scaled_linear_schedule(0.00085, 0.012, 20, 1, "float32")
    with pytest.raises(MethodError, match="give a prior whose space is Latents"):
        explain(prior=Prior(nn.Identity(), schedule))
    plain = Prior(nn.Identity(), schedule)
    plain.space = Latents(TinyCoder().requires_grad_(False), 1.0)
    with pytest.raises(MethodError, match="give a ConditionalPrior"):
        explain(prior=plain)
