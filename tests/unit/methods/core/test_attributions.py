"""Attributions of classifiers whose attributions are known."""

import pytest
import torch
from torch import nn

from vcebench.methods.core.attributions import (
    ATTRIBUTIONS,
    integrated_gradients,
    last_convolution,
    saliency,
    score_cam,
)
from vcebench.methods.core.errors import MethodError


class Product(nn.Module):
    """Logit of class c: (c + 1) times the product of the first two pixels on [0, 1]."""

    def logit(self, x, classes):
        u = (x + 1) / 2
        return (classes + 1) * u[:, 0, 0, 0] * u[:, 0, 0, 1]


X = torch.tensor([0.8, 0.5, 0.3]).view(1, 1, 1, 3).expand(1, 3, 1, 3) * 2 - 1
ZERO = torch.zeros(1, dtype=torch.int64)


def test_integrated_gradients_are_complete():
    """They sum to the logit of the image less that of a black one; a product is shared evenly."""
    found = integrated_gradients(X, ZERO, Product())
    expected = torch.zeros(1, 3, 1, 3)
    expected[0, 0, 0, :2] = 0.8 * 0.5 / 2
    torch.testing.assert_close(found, expected)


def test_saliency_is_the_absolute_gradient_of_the_class():
    found = saliency(X, ZERO + 1, Product())
    expected = torch.zeros(1, 3, 1, 3)
    expected[0, 0, 0, :2] = 2 * torch.tensor([0.5, 0.8])
    torch.testing.assert_close(found, expected)


def test_black_pixels_have_no_integrated_gradient(world):
    x, target, _, guidance, _ = world
    x = x.clone()
    x[:, :, :4] = -1
    found = integrated_gradients(x, target, guidance.classifier)
    assert not found[:, :, :4].any()
    assert found[:, :, 4:].abs().min() > 0


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_no_image_sees_another_and_nothing_is_left_behind(name, world):
    x, target, _, guidance, _ = world
    classifier = guidance.classifier
    together = ATTRIBUTIONS[name](x, target, classifier)
    alone = ATTRIBUTIONS[name](x[1:2], target[1:2], classifier)
    torch.testing.assert_close(together[1:2], alone, atol=1e-6, rtol=1e-4)
    assert together.shape[0] == 3
    assert together.shape[2:] == x.shape[2:]
    assert not together.requires_grad
    assert not any(m._forward_hooks for m in classifier.modules())


def test_score_cam_lies_between_zero_and_one(world):
    x, target, _, guidance, _ = world
    found = score_cam(x, target, guidance.classifier)
    assert found.shape == (3, 1, 12, 12)
    torch.testing.assert_close(found.amin(dim=(1, 2, 3)), torch.zeros(3))
    torch.testing.assert_close(found.amax(dim=(1, 2, 3)), torch.ones(3))


def test_a_classifier_without_convolutions_is_refused():
    with pytest.raises(MethodError, match="has no convolution; use an attribution"):
        last_convolution(nn.Linear(3, 2))
