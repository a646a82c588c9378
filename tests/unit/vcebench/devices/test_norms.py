"""The folded formula against the plain operations, and what happens when a kernel fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from vcebench.devices.norms import (
    Formula,
    FusedNorm,
    Kernel,
    Norm,
    compiled,
    fused,
    normed,
    normed_silu,
    scaled_silu,
)
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


def as_it_is(formula: Formula) -> Formula:
    return formula


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
    exact = torch.nn.functional.group_norm(
        given[0].double(), 32, plain.weight.double(), plain.bias.double(), plain.eps
    )
    if scaled:
        exact = exact * (1 + given[1].double()) + given[2].double()
    formula = scaled_silu if scaled else normed_silu
    found = formula(given[0], plain.weight, plain.bias, plain.eps, *given[1:])
    assert found.dtype == dtype
    assert found.stride() == given[0].stride()
    for one in (found, plain.activated(*given)):
        apart = (one.double() - nn.functional.silu(exact)).abs().max()
        assert apart <= TOLERANCE[dtype] * exact.abs().max()


@torch.no_grad()
def test_a_prior_with_fused_norms_is_close_and_the_given_one_stays(unet):
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    wanted, twin = unet(z, t), fused(unet, Kernel(as_it_is))
    assert any(type(module) is FusedNorm for module in twin.modules())
    assert not any(type(module) is FusedNorm for module in unet.modules())
    assert {id(p) for p in twin.parameters()} == {id(p) for p in unet.parameters()}
    torch.testing.assert_close(twin(z, t), wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(unet(z, t), wanted)


def test_gradients_go_through_the_plain_operations(unet):
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    twin = fused(unet, Kernel(lambda formula: pytest.fail("asked for a gradient")))
    gradients = []
    for network in (unet, twin):
        at = z.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(at, t).square().sum(), at)[0])
    assert torch.equal(*gradients)


def broken(formula: Formula) -> Formula:
    def failing(*arguments: Tensor) -> Tensor:
        raise RuntimeError("Failed to find C compiler\nPlease specify one")

    return failing


def wrong(formula: Formula) -> Formula:
    return lambda *arguments: 1.01 * formula(*arguments)


@pytest.mark.parametrize(
    ("compile", "why"), [(broken, "Failed to find C compiler"), (wrong, "it gave other numbers")]
)
@torch.no_grad()
def test_without_a_sound_kernel_the_image_is_the_plain_one(
    compile: Callable[[Formula], Formula], why: str, unet, capsys
):
    z, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 400])
    twin = fused(unet, Kernel(compile))
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
        Kernel(lambda formula: full)(normed, norm(64), torch.randn(1, 64, 4, 4))


def test_a_network_without_such_norms_is_itself():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4))
    assert fused(network) is network


class Counted:
    """In place of a compiler, which takes long: counts what it made, and how often that ran."""

    def __init__(self) -> None:
        self.made = self.ran = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        self.made += 1

        def run(*arguments: Tensor) -> object:
            self.ran += 1
            return graph(*arguments)

        return run


@pytest.fixture
def counted(monkeypatch) -> Iterator[Counted]:
    """Stands behind `torch.compile`, whose own memory of functions is empty."""
    backend = Counted()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    torch._dynamo.reset()
    yield backend
    torch._dynamo.reset()


@torch.no_grad()
def test_every_norm_of_a_prior_of_many_widths_runs_compiled(counted, capfd):
    shape = {"model_channels": 32, "channel_mult": (1, 2, 3, 4), "num_res_blocks": 1}
    network = build_network("unet", {**shape, "attention_factors": (4,)}).eval()
    twin = fused(network.requires_grad_(False))
    norms = sum(isinstance(module, FusedNorm) for module in twin.modules())
    assert len({m.num_channels for m in twin.modules() if isinstance(m, FusedNorm)}) >= 6
    for turn, count in enumerate((5, 3), start=1):
        twin(torch.randn(count, 3, 32, 32), torch.full((count,), 9))
        assert counted.ran == turn * norms  # dynamo runs a function as it is beyond its limit
        assert counted.made <= 8
    assert capfd.readouterr().err == ""


@torch.no_grad()
def test_all_tiers_of_a_process_have_room(counted, capsys):
    kernel, ran = Kernel(), 0
    for dtype in TOLERANCE:
        for count in (5, 1):
            for channels, side in ((32, 32), (32, 16), (64, 8)):
                x = torch.randn(count, channels, side, side, dtype=dtype)
                assert kernel(normed_silu, norm(channels), x) is not None
                ran += 1
    assert counted.ran == ran
    assert counted.made > torch._dynamo.config.recompile_limit  # so the room was needed
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler needs g++ on a CPU")
@torch.no_grad()
def test_the_compiled_formula_is_the_folded_one():
    torch.manual_seed(2)
    made = compiled(scaled_silu)
    for dtype in (torch.float32, torch.bfloat16):
        for last in (False, True):
            plain, (x, scale, shift) = norm(64), inputs(dtype, last, scaled=True)
            arguments = (x, plain.weight, plain.bias, plain.eps, scale, shift)
            found, wanted = made(*arguments), scaled_silu(*arguments)
            assert found.stride() == wanted.stride()
            apart = (found.double() - wanted.double()).abs().max()
            assert apart <= TOLERANCE[dtype] * wanted.double().abs().max()
