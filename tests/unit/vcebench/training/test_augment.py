"""Random changes of training images."""

import pytest
import torch

from vcebench.training import augment


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


X = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)


def test_draw_gives_network_images_and_their_indices(generator):
    images = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 2, 2) * 60
    x, chosen = augment.draw(images, 6, generator)
    assert torch.equal(x[:, 0, 0, 0], chosen * 60 / 127.5 - 1)


def test_shift_moves_whole_pixels(generator):
    moved = augment.shift(X, 1, generator)
    padded = torch.nn.functional.pad(X, (1, 1, 1, 1), mode="replicate")
    crops = [padded[:, :, dy : dy + 8, dx : dx + 8] for dy in range(3) for dx in range(3)]
    for k in range(2):
        assert any(torch.equal(moved[k], crop[k]) for crop in crops)


def test_no_distortion_is_the_identity(generator):
    same = augment.affine(X, generator, rotate=0, scale=0, shear=0, move=0)
    torch.testing.assert_close(same, X, atol=1e-5, rtol=0)


def test_blur_keeps_flat_images_and_reduces_contrast(generator):
    flat = torch.full((2, 3, 8, 8), 0.25)
    torch.testing.assert_close(augment.blur(flat, 1.0, generator), flat)
    noisy = torch.randn(2, 3, 8, 8, generator=generator)
    assert augment.blur(noisy, 1.0, generator).std() < noisy.std()


def test_noise_has_a_strength_of_its_own_for_each_image(generator):
    added = augment.noise(torch.zeros(64, 3, 16, 16), 0.5, generator)
    strengths = added.std(dim=(1, 2, 3))
    assert strengths.max() < 0.6
    assert strengths.std() > 0.1
