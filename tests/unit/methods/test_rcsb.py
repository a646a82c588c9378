"""RCSB: what its settings mean, and what it refuses."""

import dataclasses

import pytest
import torch
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.method import Extras
from vcebench.methods.rcsb import stretched


class Direction(nn.Module):
    """Finds a direction with a convolution; knows the level."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.levels = []

    def forward(self, z, level):
        self.levels += level.tolist()
        return torch.tanh(self.conv(z) + level.view(-1, 1, 1, 1) / 40)


@pytest.fixture
def bridge():
    torch.manual_seed(1)
    return BridgePrior(Direction().requires_grad_(False), Bridge(40))


def run(name, world, bridge, region=None, **settings):
    x, target, _, guidance, noise = world
    return registry.method(name, **{"moves": 6, **settings}).explain(
        x, target, prior=bridge, guidance=guidance, noise=noise, extras=Extras(region=region)
    )


def left(world):
    region = torch.zeros(3, 1, 12, 12, dtype=torch.bool)
    region[..., :6] = True
    return region


def test_the_network_is_told_the_levels_of_the_walk(world, bridge):
    run("inpaint", world, bridge, truncation=0.5)
    walk = bridge.bridge.respaced(6, 0.5)
    expected = [float(bridge.bridge.levels[n]) for n in walk.kept[:0:-1]]
    assert bridge.network.levels[::3] == pytest.approx(expected)


def test_s_is_the_norm_of_the_first_step_over_the_whole_image(world, bridge):
    """With one move, the shift is carried on by F_m/F_n of that move; Adam's first is a sign."""
    region, s = torch.ones(3, 1, 12, 12, dtype=torch.bool), 3.0
    still = run("inpaint", world, bridge, region, moves=1)
    shifted = run("rcsb", world, bridge, region, moves=1, scale=s)
    walk = bridge.bridge.respaced(1, 0.6)
    carry = float(walk.std[walk.kept[0]] ** 2 / walk.std[walk.kept[1]] ** 2)
    step = (shifted.x_cf - still.x_cf) / carry
    torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.full((3,), s), rtol=1e-3, atol=0)
    assert float(step.abs().median()) == pytest.approx(s / (3 * 12 * 12) ** 0.5, rel=1e-2)


def test_without_guidance_the_target_does_not_matter(world, bridge):
    x, target, prior, guidance, noise = world
    one = run("inpaint", world, bridge, left(world))
    two = run("inpaint", (x, 1 - target, prior, guidance, noise), bridge, left(world))
    assert torch.equal(one.x_cf, two.x_cf)
    assert one.backward.tolist() == [0] * 3


def test_guidance_raises_the_probability_of_the_target(world, bridge):
    target, classifier = world[1], world[3].classifier
    region = torch.ones(3, 1, 12, 12, dtype=torch.bool)
    plain, guided = (
        classifier.log_prob(run(name, world, bridge, region, **more).x_cf, target)
        for name, more in (("inpaint", {}), ("rcsb", {"scale": 5.0}))
    )
    assert (guided > plain).all()


@pytest.mark.parametrize("name", [n for n in registry.names() if n.startswith("rcsb")])
def test_an_empty_region_leaves_the_image(name, world, bridge):
    nowhere = torch.zeros(3, 1, 12, 12, dtype=torch.bool)
    assert torch.equal(run(name, world, bridge, nowhere).x_cf, world[0])


def test_abc_differ_in_their_area():
    areas = [registry.method(f"rcsb-{letter}").area for letter in "abc"]
    assert areas == [0.1, 0.2, 0.3]
    for alias, id in registry.ALIASES.items():
        assert registry.METHODS[alias] is registry.METHODS[id]


def test_the_first_steps_of_the_ladder_begin_at_noise_alone(world, bridge):
    """Then nothing of the input is left inside: others with the same outside have one result."""
    x, target, prior, guidance, noise = world
    region = left(world)
    other = torch.where(region, 0.123, x)
    one = run("rcsb-step-adam", world, bridge, region, scale=0.01)
    two = run("rcsb-step-adam", (other, target, prior, guidance, noise), bridge, region, scale=0.01)
    torch.testing.assert_close(one.x_cf, two.x_cf)


def test_a_result_is_a_function_of_the_fill(world, bridge):
    x, target, prior, guidance, noise = world
    again = dataclasses.replace(noise, seed=noise.seed + 1)
    one = run("rcsb-c", world, bridge)
    two = run("rcsb-c", (x, target, prior, guidance, again), bridge)
    assert torch.equal(one.region, two.region)
    assert not torch.equal(one.x_cf, two.x_cf)
    assert torch.equal(one.x_cf, run("rcsb-c", world, bridge).x_cf)


def test_there_is_one_try_and_no_tau():
    method = registry.method("rcsb-c", moves=7)
    assert method.rungs((8.0, 10.0)) == ({},)
    assert "tau" not in method.settings()
    assert method.steps == 7
    assert method.evaluations() == (7, 7)
    with pytest.raises(MethodError, match="has no setting 'tau'"):
        registry.method("rcsb-c", tau=5)


def test_another_network_than_a_bridge_is_refused(world):
    with pytest.raises(MethodError, match="walks on an inpainting bridge"):
        run("rcsb-c", world, world[2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": 5, "moves": 6}, "cell is 5; use a side that divides images of 12x12"),
        ({"moves": 24}, "moves is 24; truncation 0.6 .* leaves room for 1 … 23"),
        ({"truncation": 0.0}, r"truncation is 0.0; use a number in \(0, 1\]"),
        ({"scale": -1.0}, "scale is -1.0; use at least 0"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_made(settings, message, bridge):
    with pytest.raises(MethodError, match=message):
        registry.method("rcsb", **settings).check(bridge, (3, 12, 12))


def test_stretching_looks_at_the_whole_batch():
    positive = torch.tensor([[0.2, 0.6], [0.0, 1.0]]).view(2, 1, 1, 2)
    torch.testing.assert_close(stretched(positive), 2 * positive - 1)
    mixed = torch.cat([positive, torch.tensor([[-0.5, 0.5]]).view(1, 1, 1, 2)])
    torch.testing.assert_close(stretched(mixed), torch.tensor([[-1.0, 1.0]] * 3).view(3, 1, 1, 2))
