"""Spaces: pixels are themselves; latents are scaled, drawn or not, and have masks of their size."""

import pytest
import torch

from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.space import Latents, Pixels


class Half:
    """Latents of half the side: the mean of 2×2 pixels, with unit spread."""

    def encode(self, x):
        mean = torch.nn.functional.avg_pool2d(x, 2)
        return mean, torch.zeros_like(mean)

    def decode(self, z):
        return z.repeat_interleave(2, 2).repeat_interleave(2, 3)


NOISE = KeyedNoise(0, "space", ["a", "b"], (3, 8, 8))


@pytest.fixture
def x():
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_pixels_are_the_tensors_themselves(x):
    mask = x[:, :1] > 0
    space = Pixels()
    assert space.encode(x, NOISE) is x
    assert space.decode(x) is x
    assert space.shrink(mask, x) is mask
    assert space.enlarge(mask, x) is mask


def test_latents_are_scaled_means(x):
    space = Latents(Half(), 0.5)
    torch.testing.assert_close(space.encode(x), 0.5 * Half().encode(x)[0])
    torch.testing.assert_close(space.decode(space.encode(x)), Half().decode(Half().encode(x)[0]))


def test_a_draw_adds_scaled_noise_of_the_latents_shape(x):
    space = Latents(Half(), 0.5)
    drawn = NOISE.draw("encode", 0, shape=(3, 4, 4))
    torch.testing.assert_close(space.encode(x, NOISE) - space.encode(x), 0.5 * drawn)


def test_codes_without_spread_are_not_drawn(x):
    class Sharp(Half):
        def encode(self, x):
            mean, spread = super().encode(x)
            return mean, torch.full_like(spread, -torch.inf)

    space = Latents(Sharp(), 1.0)
    assert torch.equal(space.encode(x, NOISE), space.encode(x))


def test_pictures_of_latents_have_a_gradient():
    z = torch.zeros(1, 3, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(Latents(Half(), 0.5).decode(z).sum(), z)
    assert torch.equal(gradient, torch.full_like(z, 8.0))  # four pixels, over one half


def test_masks_change_their_size_to_the_nearest(x):
    space, small = Latents(Half(), 1.0), torch.zeros(2, 3, 4, 4)
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    mask[:, :, 1, 1] = True  # rows and columns of odd number are nearest to a cell's centre
    shrunk = space.shrink(mask, small)
    assert shrunk.nonzero().tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
    assert space.enlarge(shrunk, x).sum().item() == 8
