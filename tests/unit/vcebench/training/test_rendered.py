"""What the recipes of rendered sets share."""

import pytest
import torch
from torch import nn

from vcebench.training.rendered import hardened, logit_loss, prior_loss, representation_loss
from vcebench.training.supervised import DistortionHead, softened


class Linear(nn.Module):
    """One logit: the sum over the image."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * x.sum(dim=(1, 2, 3))[:, None]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def source():
    images = torch.tensor([0, 60, 190, 250], dtype=torch.uint8)[:, None, None, None]
    images = images.expand(4, 3, 8, 8)
    return images, torch.tensor([[0.0], [0.0], [1.0], [1.0]])


def test_a_hardened_picture_is_moved_away_from_its_target_by_at_most_the_length(generator):
    x = torch.zeros(16, 3, 8, 8)
    wanted = (torch.arange(16) % 2).float()[:, None]
    moved = hardened(Linear(), x, wanted, 2.0, generator) - x
    length = torch.linalg.vector_norm(moved.flatten(1), dim=1)
    assert length.max() <= 2.0
    assert length.std() > 0.3
    assert torch.equal(moved.sum(dim=(1, 2, 3)) < 0, wanted[:, 0] > 0.5)


def test_hardening_leaves_no_gradient_behind(generator):
    network = Linear()
    moved = hardened(network, torch.zeros(2, 3, 8, 8), torch.ones(2, 1), 1.0, generator)
    assert not moved.requires_grad
    assert network.scale.grad is None


def test_smoothed_targets_keep_the_loss_of_a_certain_network_above_zero(generator):
    network = Linear()
    plain, smooth = (
        logit_loss(source, lambda x, g: x, smoothing=s)()(network, generator) for s in (0.0, 0.1)
    )
    assert plain < 1e-3 < smooth


def test_an_attack_makes_the_task_harder():
    network = Linear()
    plain, hard = (
        logit_loss(source, lambda x, g: 0 * x, attack=a)()(
            network, torch.Generator().manual_seed(0)
        )
        for a in (0.0, 1.0)
    )
    assert hard > plain + 0.5


def test_losses_are_scalars_with_gradients(generator):
    from vcebench.models.small import build_network

    encoder = build_network("residual-encoder", {"outputs": 1, "widths": (8, 8)})
    unet = build_network("unet", {"model_channels": 32, "channel_mult": (1,), "num_res_blocks": 1})
    for loss, network in (
        (logit_loss(source, softened, bf16=True), encoder),
        (representation_loss(source, bf16=True), DistortionHead(encoder, 8)),
        (prior_loss(source, batch=2), unet),
    ):
        value = loss()(network, generator)
        value.backward()
        assert value.ndim == 0
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
