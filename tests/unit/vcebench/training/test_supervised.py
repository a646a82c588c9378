"""Measurements and training-only heads that the recipes share."""

import pytest
import torch
from torch import nn

from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.small import PerceptualFeatures
from vcebench.training.supervised import PerceptualTrainer, accuracy, prior_figures


class Brightness(nn.Module):
    """Class 1 for bright images."""

    def forward(self, x):
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


def test_accuracy_counts_every_image_once_whatever_the_batch():
    images = torch.tensor([0, 255, 255, 0, 255], dtype=torch.uint8)
    images = images[:, None, None, None].expand(5, 3, 4, 4)
    labels = torch.tensor([0, 1, 0, 0, 1])
    assert [accuracy(Brightness(), images, labels, batch) for batch in (1, 2, 500)] == [0.8] * 3


class Silent(nn.Module):
    def forward(self, z, t):
        return torch.zeros(len(z), 6, *z.shape[2:])


def test_a_prior_that_predicts_no_noise_has_an_error_of_one():
    images = torch.full((32, 3, 16, 16), 128, dtype=torch.uint8)
    figures = prior_figures(Silent(), linear_schedule(), images, batch=10)
    assert figures["noise_mse"] == pytest.approx(1.0, abs=0.02)
    assert figures["x0_l1"] > 0.1


def test_perceptual_trainer_predicts_classes_and_the_picture():
    logits, picture = PerceptualTrainer(PerceptualFeatures(), 7)(torch.zeros(2, 3, 32, 32))
    assert logits.shape == (2, 7)
    assert picture.shape == (2, 3, 32, 32)
