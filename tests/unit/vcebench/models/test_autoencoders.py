"""Networks of codes: shapes, rows that do not mix, regions that are not there."""

import pytest
import torch

from vcebench.data.registry import dataset_entry
from vcebench.methods.core.space import Autoencoder
from vcebench.models.autoencoder import ResidualAutoencoder
from vcebench.models.painter import SemanticAutoencoder
from vcebench.models.shipped import load_network, load_shipped_bundle
from vcebench.models.small import build_network
from vcebench.weights.shipped import save_network

REGIONS = ("ground", "left", "right")


def pictures(count, height=32, width=32):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, height, width, generator=generator) * 2 - 1


def coder(**config):
    torch.manual_seed(0)
    usual = {"code": 6, "widths": (8, 16, 16), "hidden": 24, "size": (32, 32)}
    return ResidualAutoencoder(**usual | config).eval()


def painter():
    torch.manual_seed(0)
    return SemanticAutoencoder(REGIONS, code=4, features=(8, 8, 8), widths=(16, 8, 8)).eval()


def halves(count):
    maps = torch.zeros(count, 32, 32, dtype=torch.uint8)
    maps[:, :, 16:] = 2
    return maps


@pytest.mark.parametrize("size", [(32, 32), (16, 64)])
def test_pictures_become_codes_and_codes_pictures(size):
    network = coder(size=size)
    mean, log_variance = network.encode(pictures(5, *size))
    assert mean.shape == log_variance.shape == (5, 6)
    made = network.decode(mean)
    assert made.shape == (5, 3, *size)
    assert made.abs().max() <= 1
    assert torch.equal(network(pictures(5, *size)), made)
    assert isinstance(network, Autoencoder)


def test_no_code_depends_on_another_picture():
    network, x = coder(), pictures(4)
    alone = torch.cat([network(row[None]) for row in x])
    torch.testing.assert_close(network(x), alone, atol=1e-5, rtol=0)


def test_the_decoder_can_be_followed_back_to_every_code():
    network = coder()
    z = torch.zeros(2, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(network.decode(z).square().sum(), z)
    assert (gradient != 0).all()


def test_it_is_stored_with_its_questions_and_matrices(tmp_path):
    config = {"code": 6, "widths": [8, 16, 16], "hidden": 24, "size": [32, 32]}
    config["questions"] = ["3-8", "4-9"]
    network = build_network("residual-autoencoder", config)
    network.fisher[1] = torch.eye(6)
    save_network(tmp_path / "a.safetensors", network, "residual-autoencoder", config, {})
    found, _ = load_network(tmp_path / "a.safetensors")
    assert found.questions == ("3-8", "4-9")
    assert torch.equal(found.fisher[1], torch.eye(6))


def test_a_bundle_has_the_matrix_of_its_own_task(tmp_path):
    from vcebench.models.shipped import ASSETS

    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "classifier.safetensors").symlink_to(ASSETS / "digits/classifier.safetensors")
    config = {"code": 6, "widths": [8, 16, 16], "size": [32, 32], "questions": ["4-9", "3-8"]}
    network = build_network("residual-autoencoder", config)
    network.fisher[1] = 1.0
    save_network(folder / "autoencoder.safetensors", network, "residual-autoencoder", config, {})
    for name, wanted in (("3-8", 1.0), ("4-9", 0.0), ("1-7", None)):
        task = dataset_entry("digits").task(name)
        needs = {"autoencoder"}
        found = load_shipped_bundle("digits", task, folder=folder, needs=needs, metrics=False)
        assert isinstance(found.autoencoder, ResidualAutoencoder)
        assert found.prior is None
        same = found.fisher is None if wanted is None else bool((found.fisher == wanted).all())
        assert same


def test_a_region_has_the_code_of_its_own_pixels():
    network, x, maps = painter(), pictures(3), halves(3)
    codes = network.encode(x, maps)
    assert codes.shape == (3, 3, 4)
    assert (codes[:, 1] == 0).all()  # it is nowhere
    other = x.clone()
    other[:, :, :, 24:] = 0.5  # far enough for the encoder not to see it from the left
    moved = network.encode(other, maps) != codes
    assert not moved[:, 0].any()
    assert moved[:, 2].all()


def test_pictures_are_painted_by_maps_and_codes():
    network, x, maps = painter(), pictures(3), halves(3)
    codes = network.encode(x, maps)
    made = network.decode(maps, codes)
    assert made.shape == x.shape
    assert made.abs().max() <= 1
    idle = codes.clone()
    idle[:, 1] = 5.0  # of the region that is nowhere
    assert torch.equal(network.decode(maps, idle), made)
    alone = torch.cat([network.decode(maps[n : n + 1], codes[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(alone, made, atol=1e-5, rtol=0)
    assert network.regions == REGIONS


def test_a_code_shows_in_its_own_region_and_nowhere_else():
    network, x, maps = painter(), pictures(3), halves(3)
    codes = network.encode(x, maps)
    made = network.decode(maps, codes)
    other = codes.clone()
    other[:, 2] += 3.0
    change = (network.decode(maps, other) - made).abs().sum(dim=1)
    inside = maps == 2
    assert change[~inside].max() == 0
    assert change[inside].min() > 0
