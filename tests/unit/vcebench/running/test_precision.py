"""Networks in reduced precision: close to float32, and the given network stays as it is."""

import copy

import pytest
import torch
from torch import nn

from vcebench.devices.norms import FusedNorm
from vcebench.errors import UserError
from vcebench.models.small import build_network
from vcebench.running.assemble import networks_of, worker_of
from vcebench.running.precision import in_precision, layout
from vcebench.settings.request import Request, resolve

UNET = {
    "model_channels": 32,
    "channel_mult": (1, 2),
    "num_res_blocks": 1,
    "attention_factors": (2,),
    "resblock_updown": False,
}


def randomised(network: nn.Module) -> nn.Module:
    """The same network, without the zeros it starts from; frozen."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network.eval().requires_grad_(False)


@pytest.fixture
def unet() -> nn.Module:
    torch.manual_seed(0)
    return randomised(build_network("unet", UNET))


@pytest.fixture
def classifier() -> nn.Module:
    torch.manual_seed(1)
    return randomised(build_network("smooth-classifier", {"outputs": 3, "widths": (8, 16)}))


def test_exact_is_the_network_itself(unet):
    assert in_precision(unet, "exact") is unet


def test_a_prior_in_bf16_is_close_and_float32(unet):
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    wanted, found = unet(z, t), in_precision(unet, "bf16")(z, t)
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_a_gradient_in_bf16_points_the_same_way(classifier):
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    gradients = []
    for network in (classifier, in_precision(classifier, "bf16")):
        at = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(at)[:, 0].sum(), at)[0].flatten())
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99
    assert not torch.equal(*gradients)


def test_the_given_network_stays_as_it_is(unet):
    before = copy.deepcopy(unet.state_dict())
    reduced = in_precision(unet, "bf16")
    reduced(torch.randn(1, 3, 16, 16), torch.tensor([1]))
    assert all(value.dtype == torch.float32 for value in unet.state_dict().values())
    assert all(torch.equal(before[key], value) for key, value in unet.state_dict().items())


def test_only_weights_of_matrix_products_are_copied(unet):
    reduced = in_precision(unet, "bf16").network
    assert reduced.out[0].weight is unet.out[0].weight
    assert reduced.out[2].weight.dtype == torch.bfloat16


def test_overwriting_intermediate_tensors_changes_no_bit(unet):
    # With gradients wanted nothing is overwritten; the two ways must agree in every bit.
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    kept = z.clone()
    with torch.no_grad():
        overwritten = unet(z, t)
    with torch.enable_grad():
        assert torch.equal(overwritten, unet(z, t))
    assert torch.equal(z, kept)


@pytest.mark.parametrize(
    ("precision", "shared", "norms"), [("exact", 1, 0), ("fast", 1, 1), ("bf16", 0, 1)]
)
def test_on_a_gpu_tiers_fuse_norms_and_a_reduced_one_shares_nothing(unet, precision, shared, norms):
    network = unet.to("meta")  # no CPU, as far as a tier can tell
    tier = in_precision(network, precision)
    weights = {id(p) for p in network.parameters()} & {id(p) for p in tier.parameters()}
    assert bool(weights) == bool(shared)
    assert any(type(module) is FusedNorm for module in tier.modules()) == bool(norms)


def test_on_a_cpu_no_tier_fuses_norms(unet):
    for precision in ("exact", "fast", "bf16"):
        tier = in_precision(unet, precision)
        assert not any(type(module) is FusedNorm for module in tier.modules())


def test_a_layout_is_the_one_that_was_measured_faster():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    tiers = ("exact", "fast", "bf16", "fp16")
    assert {layout(cpu, tier) for tier in tiers} == {torch.channels_last}
    assert [layout(cuda, tier) for tier in tiers] == [
        torch.contiguous_format,
        torch.contiguous_format,
        torch.channels_last,
        torch.channels_last,
    ]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_tier_of_16_bits_is_refused_where_gradients_go_through_the_prior(precision):
    config, _ = resolve(Request("ace-l1", "digits", precision=precision, device="cpu"))
    with pytest.raises(UserError, match=f"what {precision} does to its flips is not measured"):
        worker_of(config, networks_of(config, metrics=False))


def test_float32_tiers_and_methods_without_backward_passes_go_on():
    for method, precision in (("ace-l1", "fast"), ("maskdime", "bf16")):
        config, _ = resolve(Request(method, "digits", precision=precision, device="cpu"))
        assert worker_of(config, networks_of(config, metrics=False)).method.steps > 0
