"""The losses of networks of codes, and the figures that say what they are worth."""

import math

import pytest
import torch
from torch import nn

from vcebench.data.digits import arrays
from vcebench.models.autoencoder import ResidualAutoencoder
from vcebench.models.painter import SemanticAutoencoder
from vcebench.models.shipped import ASSETS, load_network
from vcebench.training import augment
from vcebench.training.autoencoder import (
    Annealed,
    alike,
    autoencoder_figures,
    autoencoder_loss,
    balanced,
    divergences,
    keep_fisher,
    picture_distance,
    stratified,
)
from vcebench.training.loop import key
from vcebench.training.registry import recipe_of
from vcebench.training.segments import segments_figures, segments_loss
from vcebench.weights.shipped import read_card


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def part(dataset, name):
    return next(p for p in recipe_of(dataset).parts if p.name == name)


@pytest.mark.parametrize("batch", [2, 5, 16])
def test_a_sample_stands_for_the_drawn_and_for_those_not_drawn(batch):
    weights = stratified(batch, 1000).exp()
    assert weights.shape == (batch, batch)
    torch.testing.assert_close(weights.diagonal(), torch.full((batch,), 1 / 1000))
    off = weights[~torch.eye(batch, dtype=torch.bool)]
    assert off.max() == pytest.approx(1 / (batch - 1), rel=2e-2)
    assert (weights.sum(dim=1) - 1).abs().max() < 2 / (batch - 1) * batch / 1000 + 1e-3


def test_equal_codes_tell_nothing_of_their_pictures():
    z = torch.randn(64, 3, generator=seeded())
    information, correlation, divergence = divergences(
        z, torch.zeros(64, 3), torch.zeros(64, 3), 64
    )
    assert abs(float(information)) < 0.05
    assert abs(float(correlation)) < 0.05
    assert abs(float(divergence)) < 0.05


def test_codes_far_apart_tell_which_picture_it_is():
    mean = 100.0 * torch.arange(64)[:, None].float()
    z = mean + torch.randn(64, 1, generator=seeded())
    information, correlation, _ = divergences(z, mean, torch.zeros(64, 1), 64)
    assert float(information) == pytest.approx(math.log(64), abs=0.05)
    assert abs(float(correlation)) < 1e-4


def test_two_codes_that_say_the_same_are_correlated():
    mean = (100.0 * torch.arange(64)[:, None].float()).expand(-1, 2)
    z = mean + torch.randn(64, 2, generator=seeded())
    _, correlation, _ = divergences(z, mean, torch.zeros(64, 2), 64)
    assert float(correlation) == pytest.approx(math.log(64), abs=0.1)


def test_the_last_term_grows_twice_and_a_checkpoint_knows_how_far():
    network = Annealed(nn.Identity(), steps=8)
    shares = [network.share() for _ in range(3)]
    other = Annealed(nn.Identity(), steps=8)
    other.load_state_dict(network.state_dict())
    assert shares + [other.share() for _ in range(5)] == [0, 0.5, 1, 1, 0, 0.5, 1, 1]


def test_a_picture_is_no_distance_from_itself():
    distance = picture_distance(ASSETS / "digits/perceptual.safetensors")
    x = torch.rand(2, 3, 32, 32, generator=seeded()) * 2 - 1
    one = alike(x)
    assert float(distance(x, x, one)) == 0
    assert float(distance(x, x.flip(3), one)) > float(distance(x, x + 0.01, one)) > 0


def test_differences_count_where_pixels_weigh():
    distance = picture_distance(ASSETS / "digits/perceptual.safetensors")
    x = torch.rand(2, 3, 32, 32, generator=seeded()) * 2 - 1
    moved, left = x.clone(), alike(x)
    moved[..., :8] += 0.5
    left[..., :16] = 0
    assert float(distance(x, moved, left)) < 0.1 * float(distance(x, moved, alike(x)))


def test_a_small_region_weighs_half_of_an_even_share():
    maps = torch.zeros(2, 8, 8, dtype=torch.uint8)
    maps[0, :2, :2] = 4
    weights = balanced(maps, regions=9)
    assert weights.shape == (2, 1, 8, 8)
    torch.testing.assert_close(weights.mean(dim=(1, 2, 3)), torch.ones(2))
    assert float(weights[0, 0, :2, :2].sum()) == 4 * 0.5 + 32 * 0.5
    assert float(weights[1].min()) == float(weights[1].max()) == 1


def test_some_steps_bring_pictures_nearer():
    torch.manual_seed(0)
    trained = Annealed(ResidualAutoencoder(6, (8, 8, 8), 16, (32, 32)), steps=12)
    x = augment.to_network(arrays("train")[0][:4])
    loss = autoencoder_loss(lambda g: (x, alike(x)), ASSETS / "digits/perceptual.safetensors", 4000)
    optimiser = torch.optim.Adam(trained.parameters(), lr=3e-3)
    values = []
    for step in range(12):
        value = loss(trained, seeded(key(1, "test", step)))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert sum(values[-3:]) < 0.9 * sum(values[:3])


def test_figures_compare_with_what_classifiers_say():
    class Same(nn.Module):
        def forward(self, x):
            return x

    class Grey(nn.Module):
        def forward(self, x):
            return torch.zeros_like(x)

    images = arrays("test")[0][:32]
    assert autoencoder_figures(Same(), images, "digits", ["3-8"]) == {
        "pixel_l1": 0.0,
        "3-8 agreement": 1.0,
    }
    grey = autoencoder_figures(Grey(), images, "digits", ["3-8"])
    assert grey["pixel_l1"] > 0.3
    assert grey["3-8 agreement"] < 0.5


def test_the_matrix_of_every_task_is_kept_between_0_and_1():
    torch.manual_seed(0)
    network = ResidualAutoencoder(6, (8, 8, 8), 16, (32, 32), ("3-8", "4-9")).eval()
    keep_fisher(network.requires_grad_(False), arrays("train")[0][:8], "digits")
    assert torch.equal(network.fisher, network.fisher.transpose(1, 2))
    assert network.fisher.amin(dim=(1, 2)).tolist() == [0, 0]
    assert network.fisher.amax(dim=(1, 2)).tolist() == [1, 1]
    assert not torch.equal(network.fisher[0], network.fisher[1])


def test_figures_of_regions_say_how_far_a_code_reaches():
    class Flat(SemanticAutoencoder):
        """Every region has its mean colour, exactly."""

        def encode(self, x, segments):
            where = self._planes(segments, x).flatten(2)
            total = where.sum(dim=2, keepdim=True).clamp_min(1)
            return where @ x.flatten(2).transpose(1, 2) / total

        def decode(self, segments, z):
            return torch.einsum("brhw,brc->bchw", self._planes(segments, z), z)

    network = Flat(("ground", "thing"), code=4, features=(8, 8, 8), widths=(8, 8))
    images = torch.full((4, 3, 64, 64), 90, dtype=torch.uint8)
    maps = torch.zeros(4, 64, 64, dtype=torch.uint8)
    maps[:, 20:40, 20:40] = 1
    images[:, :, 20:40, 20:40] = torch.tensor([0, 50, 100, 150], dtype=torch.uint8).view(4, 1, 1, 1)
    figures = segments_figures(network, images, maps, "synthfaces", ["smile"], "thing")
    assert figures["pixel_l1"] == pytest.approx(0, abs=1e-5)
    assert figures["smile agreement"] == 1
    assert figures["thing inside"] == pytest.approx(1, abs=1e-6)


def test_a_semantic_autoencoder_learns_from_maps():
    images = torch.randint(0, 256, (8, 3, 64, 64), generator=seeded()).to(torch.uint8)
    maps = torch.zeros(8, 64, 64, dtype=torch.uint8)
    loss = segments_loss(
        lambda split: (images, maps), ASSETS / "synthfaces/perceptual.safetensors", batch=2
    )
    torch.manual_seed(0)
    network = SemanticAutoencoder(("ground",), code=4, features=(8, 8, 8), widths=(8, 8))
    value = loss(network, seeded())
    value.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("digits", "autoencoder"),
        ("synthfaces", "autoencoder"),
        ("synthfaces", "segments"),
        ("synthroads", "segments"),
    ],
)
def test_recipes_build_networks_of_their_pictures(dataset, name):
    found = part(dataset, name)
    network, _ = found.initial()
    assert sum(p.numel() for p in network.parameters()) < 1.5e6
    assert found.floors


CODES = [
    pytest.param(dataset, name, marks=() if dataset == "digits" else pytest.mark.slow)
    for dataset in ("digits", "synthfaces", "synthroads")
    for name in ("autoencoder", "segments")
    if (ASSETS / dataset / f"{name}.safetensors").exists()
]


@pytest.mark.parametrize(("dataset", "name"), CODES)
def test_a_shipped_network_of_codes_measures_what_its_card_says(dataset, name):
    # Which bounds the cards' figures miss is written down in test_parts.
    path = ASSETS / dataset / f"{name}.safetensors"
    asked, card = part(dataset, name), read_card(path)["measured"]
    with torch.no_grad():
        found = asked.measure(load_network(path)[0])
    assert asked.floors
    assert asked.floors.keys() | asked.ceilings.keys() <= found.keys()
    assert found == pytest.approx(card, abs=0.01)
    for figure, floor in asked.floors.items():
        assert found[figure] >= floor or card[figure] < floor
    for figure, most in asked.ceilings.items():
        assert found[figure] <= most or card[figure] > most
