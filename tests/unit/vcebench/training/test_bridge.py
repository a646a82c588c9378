"""The bridge's loss, its regions, and where its training begins."""

import pytest
import torch
from torch import nn

from vcebench.methods.core.bridge import Bridge
from vcebench.models.small import build_network
from vcebench.training import holes
from vcebench.training.bridge import STEPS, BridgeLoss, bridge_loss, x0_error
from vcebench.training.parts import take_over
from vcebench.weights.shipped import save_network

UNET = {"model_channels": 32, "channel_mult": [1, 1], "num_res_blocks": 1}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Knowing(nn.Module):
    """A bridge that knows every image is grey."""

    def __init__(self, grey):
        super().__init__()
        self.grey = nn.Parameter(torch.tensor(grey))

    def forward(self, z, level):
        bridge = Bridge(STEPS)
        where = (level[:, None] - bridge.levels).abs().argmin(dim=1)
        return (z - self.grey) / torch.from_numpy(bridge.std)[where, None, None, None].float()


def test_a_network_that_knows_the_image_costs_nothing():
    x = torch.full((6, 3, 8, 8), 0.25)
    region = torch.rand(6, 1, 8, 8, generator=seeded()) < 0.4
    assert float(BridgeLoss(Bridge(STEPS))(Knowing(0.25), x, region, seeded()).detach()) < 1e-6


def test_what_lies_outside_the_region_is_not_learnt():
    x = torch.rand(4, 3, 8, 8, generator=seeded()) * 2 - 1
    nowhere = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    assert float(BridgeLoss(Bridge(STEPS))(Knowing(0.0), x, nowhere, seeded()).detach()) == 0


def test_the_state_runs_straight_from_image_to_noise_inside_and_rests_outside():
    bridge = BridgeLoss(Bridge(STEPS))
    x, noise = torch.full((2, 3, 4, 4), -1.0), torch.full((2, 3, 4, 4), 3.0)
    region = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    region[..., :2] = True
    z = bridge.state(x, region, noise, torch.tensor([0, STEPS - 1]))
    torch.testing.assert_close(z[..., 2:], x[..., 2:])
    torch.testing.assert_close(z[0, :, :, :2], x[0, :, :, :2], atol=0.01, rtol=0)
    torch.testing.assert_close(z[1, :, :, :2], noise[1, :, :, :2], atol=0.01, rtol=0)


def test_seven_tenths_of_the_draws_lie_where_truncated_walks_begin():
    index = BridgeLoss(Bridge(500)).indices(20_000, seeded())
    assert (index < 350).float().mean() == pytest.approx(0.7 + 0.3 * 0.7, abs=0.01)
    assert index.max() < 500


def test_a_step_is_a_function_of_its_generator():
    loss = bridge_loss(lambda g: torch.rand(4, 3, 16, 16, generator=g), (16, 16), 3, bf16=False)
    values = [float(loss(Knowing(0.0), seeded(k)).detach()) for k in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_the_error_is_the_mean_distance_to_the_image_inside():
    images = torch.full((4, 3, 16, 16), 255, dtype=torch.uint8)
    with torch.no_grad():
        assert x0_error(Knowing(0.75), images) == pytest.approx(0.25, abs=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (64, 128)])
def test_regions_are_strokes_and_cells_of_5_to_35_percent(size):
    regions = holes.library(*size, 60, seed=1)
    areas = regions.float().mean(dim=(1, 2, 3))
    cell = 8 * 8 / (size[0] * size[1])
    assert areas.min() > holes.LEAST - cell
    assert areas.max() <= holes.MOST
    blocks = regions[1::2].unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).float().mean(dim=(3, 5))
    assert set(blocks.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(regions, holes.library(*size, 60, seed=1))


def test_cells_of_one_area():
    regions = holes.cell_library(64, 64, 20, seed=0, area=0.3)
    areas = regions.float().mean(dim=(1, 2, 3))
    assert areas.min() > 0.3 - 1 / 64
    assert areas.max() <= 0.3


def test_a_bridge_begins_with_the_weights_of_the_prior(tmp_path):
    prior = build_network("unet", UNET)
    for weight in prior.parameters():
        nn.init.normal_(weight, std=0.1)
    path = tmp_path / "prior.safetensors"
    save_network(path, prior, "unet", UNET, {})
    bridge = build_network("unet", UNET | {"out_channels": 3})
    take_over(bridge, path)
    z, t = torch.randn(2, 3, 8, 8), torch.tensor([3.0, 70.0])
    with torch.no_grad():
        for weight in prior.parameters():
            weight.copy_(weight.half())
        torch.testing.assert_close(bridge(z, t), prior(z, t)[:, :3])


def test_a_narrower_bridge_takes_over_what_fits(tmp_path):
    wide = build_network("unet", UNET | {"channel_mult": [1, 2]})
    nn.init.constant_(wide.input_blocks[0][0].bias, 0.5)
    path = tmp_path / "prior.safetensors"
    save_network(path, wide, "unet", UNET | {"channel_mult": [1, 2]}, {})
    bridge = build_network("unet", UNET | {"out_channels": 3})
    middle = bridge.middle_block[0].in_layers[2].weight.clone()
    take_over(bridge, path)
    assert float(bridge.input_blocks[0][0].bias.detach().mean()) == 0.5
    assert torch.equal(bridge.middle_block[0].in_layers[2].weight, middle)
