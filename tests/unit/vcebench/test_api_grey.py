"""The Python interface on images of one channel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vcebench
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.classifier import MulticlassClassifier
from vcebench.models.small import build_network

IMAGES = torch.randint(0, 256, (3, 1, 16, 16), generator=torch.Generator().manual_seed(1)).to(
    torch.uint8
)


class Halves(nn.Module):
    """Whether the left or the right half is brighter; takes one channel only."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.mean.weight, 8.0)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.mean(x).mean(dim=(1, 2)).split(8, dim=1)
        return torch.stack([left.mean(dim=1), right.mean(dim=1)], dim=1)


@pytest.fixture(scope="module")
def prior() -> Any:
    config = {"model_channels": 32, "channel_mult": (1, 1), "num_res_blocks": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network("unet", {**config, "in_channels": 1, "out_channels": 2})
        nn.init.normal_(network.out[-1].weight, std=0.02)
    return network.eval().requires_grad_(False), linear_schedule(500, 200)


def explain(prior: Any, images: Tensor = IMAGES, **values: Any) -> vcebench.Explanations:
    asked = {"classifier": Halves(), "prior": prior, "lambda_perceptual": 0, "batch_size": 2}
    return vcebench.explain(images, **{**asked, "tau": 2, "class_unit": 3000.0, **values})


@pytest.mark.parametrize("method", ["maskdime", "fastdime", "dime", "pgd"])
def test_images_of_one_channel_are_explained_in_it(prior: Any, method: str) -> None:
    walk = {} if method == "pgd" else {"prior": prior, "tau": 2}
    found = vcebench.explain(
        IMAGES,
        classifier=Halves(),
        method=method,
        lambda_perceptual=0,
        batch_size=2,
        class_unit=3000.0,
        **walk,
    )
    assert found.counterfactuals.shape == IMAGES.shape
    assert found.counterfactuals.dtype == torch.uint8
    assert found.images is not None
    assert torch.equal(found.images, IMAGES)
    assert not torch.equal(found.counterfactuals, IMAGES)
    x, x_cf = (images.float() / 127.5 - 1 for images in (IMAGES, found.counterfactuals))
    classifier = Halves()
    assert found.prediction.equal(classifier(x).argmax(dim=1))
    assert found.flipped.equal(classifier(x_cf).argmax(dim=1) == found.target)
    assert found._repr_png_().startswith(b"\x89PNG")
    assert found[0].show().mode == "RGB"


def test_a_classifier_of_this_package_is_taken_too(prior: Any) -> None:
    found = explain(prior, classifier=MulticlassClassifier(Halves()))
    assert torch.equal(found.counterfactuals, explain(prior).counterfactuals)


def test_features_see_the_channel_three_times(prior: Any) -> None:
    class Features(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[1] == 3
            return x[:, :, ::2, ::2]

    found = explain(prior, perceptual=Features(), lambda_perceptual=30.0)
    assert found.counterfactuals.shape == IMAGES.shape


def test_a_prior_of_three_channels_is_refused(prior: Any) -> None:
    network = nn.Conv2d(3, 3, 1)
    with pytest.raises(vcebench.UserError, match="prior"):
        explain((network, prior[1]))
    with pytest.raises(vcebench.UserError, match=r"\(N, 1, H, W\)"):
        explain(prior, IMAGES.expand(-1, 2, -1, -1))
