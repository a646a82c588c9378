"""The folded formula against the plain operations, and what happens when a kernel fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vcebench.devices.norms import FusedNorm, Kernel, Norm, folded, fused
from vcebench.models.small import build_network

UNET = {
    "model_channels": 32,
    "channel_mult": (1, 2),
    "num_res_blocks": 1,
    "attention_factors": (2,),
}
TOLERANCE = {torch.float32: 2e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@pytest.fixture
def unet() -> nn.Module:
    torch.manual_seed(0)
    network = build_network("unet", UNET)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network.eval().requires_grad_(False)


def norm(channels: int) -> Norm:
    made = Norm(channels)
    nn.init.normal_(made.weight, mean=1)
    nn.init.normal_(made.bias)
    return made.requires_grad_(False)


def inputs(dtype: torch.dtype, last: bool, scaled: bool) -> tuple[Tensor, ...]:
    # Far from zero mean, as in a network's middle: where a careless variance loses its digits.
    x = 3 * torch.randn(2, 64, 12, 10) + 20 * torch.randn(1, 64, 1, 1)
    x = x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    pair = torch.randn(2, 128, 1, 1).chunk(2, dim=1) if scaled else ()
    return tuple(t.to(dtype) for t in (x, *pair))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@torch.no_grad()
def test_the_folded_formula_is_the_plain_one(dtype, last, scaled):
    torch.manual_seed(1)
    plain, given = norm(64), inputs(dtype, last, scaled)
    scale, shift = given[1:] or (None, None)
    exact = torch.nn.functional.group_norm(
        given[0].double(), 32, plain.weight.double(), plain.bias.double(), plain.eps
    )
    if scale is not None:
        exact = exact * (1 + scale.double()) + shift.double()
    found = folded(given[0], plain.weight, plain.bias, scale, shift, plain.eps, True)
    assert found.dtype == dtype
    assert found.stride() == given[0].stride()
    for one in (found, plain.activated(*given)):
        apart = (one.double() - nn.functional.silu(exact)).abs().max()
        assert apart <= TOLERANCE[dtype] * exact.abs().max()


@torch.no_grad()
def test_a_prior_with_fused_norms_is_close_and_the_given_one_stays(unet):
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    wanted, twin = unet(z, t), fused(unet, Kernel(lambda: folded))
    assert any(type(module) is FusedNorm for module in twin.modules())
    assert not any(type(module) is FusedNorm for module in unet.modules())
    assert {id(p) for p in twin.parameters()} == {id(p) for p in unet.parameters()}
    torch.testing.assert_close(twin(z, t), wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(unet(z, t), wanted)


def test_gradients_go_through_the_plain_operations(unet):
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    twin = fused(unet, Kernel(lambda: pytest.fail("asked for a gradient")))
    gradients = []
    for network in (unet, twin):
        at = z.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(at, t).square().sum(), at)[0])
    assert torch.equal(*gradients)


def broken(*arguments: object) -> Tensor:
    raise RuntimeError("Failed to find C compiler\nPlease specify one")


def wrong(*arguments: object) -> Tensor:
    return 1.01 * folded(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("compiled", "why"), [(broken, "Failed to find C compiler"), (wrong, "it gave other numbers")]
)
@torch.no_grad()
def test_without_a_sound_kernel_the_image_is_the_plain_one(
    compiled: Callable[..., Tensor], why: str, unet, capsys
):
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    twin = fused(unet, Kernel(lambda: compiled))
    for _ in range(2):
        assert torch.equal(twin(z, t), unet(z, t))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"slower: {why}" in said[0]


@torch.no_grad()
def test_memory_that_runs_out_is_said_to_the_run():
    def full(*arguments: object) -> Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        Kernel(lambda: full)(norm(64), torch.randn(1, 64, 4, 4), None, None, True)


def test_a_network_without_such_norms_is_itself():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4))
    assert fused(network) is network


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler needs g++ on a CPU")
@torch.no_grad()
def test_the_compiled_formula_is_the_folded_one():
    torch.manual_seed(2)
    compiled = torch.compile(folded, dynamic=True)
    for dtype in (torch.float32, torch.bfloat16):
        for last in (False, True):
            plain, (x, scale, shift) = norm(64), inputs(dtype, last, scaled=True)
            arguments = (x, plain.weight, plain.bias, scale, shift, plain.eps, True)
            found, wanted = compiled(*arguments), folded(*arguments)
            assert found.stride() == wanted.stride()
            apart = (found.double() - wanted.double()).abs().max()
            assert apart <= TOLERANCE[dtype] * wanted.double().abs().max()
