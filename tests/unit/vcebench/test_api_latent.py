"""`vcebench.explain` with methods among latents: what they are given, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_latents import TinyCoder, tiny_latents
from torch import Tensor, nn

import vcebench
from vcebench.methods.core.space import Latents

IMAGES = torch.randint(0, 256, (3, 3, 12, 12), dtype=torch.uint8)


class Brightness(nn.Module):
    """Brighter than middle grey, and a convolution that says the same."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        with torch.no_grad():
            self.conv.weight.fill_(1.0)
            self.conv.bias.fill_(0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean(dim=(1, 2, 3))


SETTINGS: dict[str, dict[str, Any]] = {
    "ldce-txt": {"tau": 3, "chain": 20},
    "ldce-cls": {"tau": 3, "chain": 20},
    "time": {"lengths": "1,2", "chain": 20},
    "eced-v": {"iterations": 2, "denoising_steps": 1, "chain": 20, "tuning_steps": 1},
    "latent-identity": {},
}
NFE = {"ldce-txt": {6}, "ldce-cls": {6}, "time": {8, 24}, "eced-v": {4}, "latent-identity": {0}}


def explain(method: str = "ldce-txt", **values: Any) -> vcebench.Explanations:
    asked = {"latent": tiny_latents(), "batch_size": 2, **SETTINGS.get(method, {}), **values}
    return vcebench.explain(IMAGES, classifier=Brightness(), method=method, **asked)


@pytest.mark.parametrize("method", SETTINGS)
def test_images_are_explained_among_latents(method: str) -> None:
    found = explain(method)
    assert found.counterfactuals.shape == IMAGES.shape
    assert set(found.nfe.tolist()) <= NFE[method]
    # Latents have no pixels of their own to leave as they were.
    assert found.region is None


def test_the_autoencoder_alone_is_the_floor() -> None:
    found = explain("latent-identity")
    space = tiny_latents().space
    shown = space.decode(space.encode(IMAGES / 127.5 - 1))
    error = (found.counterfactuals / 127.5 - 1 - shown).abs().max()
    assert float(error) <= 1 / 127.5


class Uneven(TinyCoder):
    """Decodes at a fifth of the side."""

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z)[:, :, ::5, ::5]


def uneven() -> Any:
    prior = tiny_latents()
    prior.space = Latents(Uneven().requires_grad_(False), 0.5)
    return prior


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latent": None}, "ldce-txt needs a latent-text network, and there is none; give latent"),
        ({"latent": nn.Identity()}, "latent is a Identity; give a ConditionalPrior"),
        ({"latent": uneven()}, "each must come back in its own shape"),
        ({"precision": "bf16"}, "runs in full precision only; use --precision exact or fast"),
        ({"region": "cells:20"}, "ldce-txt cannot be told where to change an image"),
        ({"tau": 20}, "tau is 20, but .* 20 steps; use 1 … 19"),
        ({"chain": 2000}, "chain is 2000: .* use 1 … 999 of them"),
        ({"method": "time", "lengths": "3,x"}, "use whole numbers with commas"),
        ({"method": "time", "lengths": "21"}, "lengths has 21, .* use 1 … 20"),
        ({"method": "time-released", "lengths": "20", "chain": 20}, "use 1 … 19"),
        ({"method": "eced-v", "denoising_steps": 21}, "denoising-steps is 21, .* use 1 … 20"),
        ({"method": "eced-r", "iterations": 1}, "no module 'layer4.1' .* use eced-v"),
        ({"method": "eced-v", "layer": "features"}, "no module 'features' .* use eced-v"),
    ],
)
def test_what_is_refused_in_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(vcebench.UserError, match=message) as error:
        explain(**values)
    assert "\n" not in str(error.value)
