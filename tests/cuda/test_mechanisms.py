"""The mechanisms of `vcebench.devices` on a card: recorded, fused, drawn ahead."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vcebench.data.digits import SIZE
from vcebench.devices.capture import Captured, CapturedGuide, CudaGraphs
from vcebench.devices.flags import precision_flags
from vcebench.devices.noise import NoiseAhead, drawn_ahead
from vcebench.devices.norms import FusedNorm, Kernel, Norm, fused, scaled_silu
from vcebench.methods.core.noise import KeyedNoise
from vcebench.models.loading import load_bundle
from vcebench.running.precision import in_precision

TIERS = ("exact", "fast", "bf16", "fp16")


@pytest.fixture
def bundle(cuda):
    return load_bundle("digits", device=cuda)


def images(seed: int, count: int, bundle) -> Tensor:
    size = (count, 3, SIZE, SIZE)
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(bundle.device)


def gradient(network: nn.Module, x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    return torch.autograd.grad(network(at).float().square().sum(), at)[0]


@pytest.mark.parametrize("tier", TIERS)
@torch.no_grad()
def test_a_recorded_prior_is_the_prior_bit_by_bit(tier, bundle, cuda, capsys):
    with precision_flags(tier):
        plain = in_precision(bundle.prior.network, tier)
        fast = Captured(plain, CudaGraphs(), "prior")
        for count in (5, 2, 5):
            for seed in range(4):
                z = images(seed, count, bundle)
                t = torch.full((count,), 100 + seed, device=cuda)
                assert torch.equal(fast(z, t), plain(z, t))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("tier", TIERS)
def test_recorded_gradients_are_those_of_the_network(tier, bundle, capsys):
    with precision_flags(tier):
        for role in ("classifier", "perceptual"):
            network = getattr(bundle, role)
            plain = in_precision(getattr(network, "network", network), tier)
            fast = CapturedGuide(plain, CudaGraphs(), role)
            for seed in range(4):
                x = images(seed, 3, bundle)
                found, wanted, again = gradient(fast, x), gradient(plain, x), gradient(plain, x)
                near = (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()
                assert torch.equal(found, wanted) or (not torch.equal(again, wanted) and near)
    assert capsys.readouterr().err == ""


def test_a_network_that_waits_for_the_device_runs_as_it_is(cuda, capsys):
    class Asking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if float(x.sum()) > 0 else x  # a value read to the host

    fast = Captured(Asking(), CudaGraphs(), "prior")
    with torch.no_grad():
        for seed in range(4):
            x = torch.randn(3, generator=torch.Generator().manual_seed(seed)).to(cuda)
            assert torch.equal(fast(x), Asking()(x))
    assert "the prior runs without CUDA graphs" in capsys.readouterr().err
    # The stream is as it was, and what can be recorded still is.
    other = Captured(nn.Tanh(), CudaGraphs(), "prior")
    with torch.no_grad():
        for _ in range(3):
            assert torch.equal(other(x), torch.tanh(x))
    assert capsys.readouterr().err == ""


def test_memory_of_recordings_is_given_back(bundle, cuda):
    recorder = CudaGraphs()
    fast, t = Captured(bundle.prior.network, recorder, "prior"), torch.full((64,), 9, device=cuda)
    with torch.no_grad():
        for seed in range(3):
            fast(images(seed, 64, bundle), t)
    torch.cuda.synchronize()
    held = torch.cuda.memory_reserved()
    recorder.forget()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() < held


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("last", [False, True])
@torch.no_grad()
def test_a_compiled_norm_is_the_plain_one(dtype, last, cuda, capsys):
    kernel = Kernel()
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}[dtype]
    for channels, side, count in ((128, 64, 5), (256, 32, 5), (512, 8, 2), (128, 128, 1)):
        norm = Norm(channels).to(cuda)
        x = (3 * torch.randn(count, channels, side, side, device=cuda) + 5).to(dtype)
        x = x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
        pair = torch.randn(count, 2 * channels, 1, 1, device=cuda).to(dtype).chunk(2, dim=1)
        found = kernel(scaled_silu, norm, x, *pair)
        assert found is not None
        assert found.stride() == x.stride()
        wanted = norm.activated(x, *pair).float()
        assert (found.float() - wanted).abs().max() <= tolerance * wanted.abs().max()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("tier", ["fast", "bf16", "fp16"])
def test_tiers_below_exact_fuse_the_priors_norms(tier, bundle):
    network = in_precision(bundle.prior.network, tier)
    assert any(type(module) is FusedNorm for module in network.modules())
    assert fused(nn.Conv2d(3, 3, 1)) is not None


def test_noise_drawn_ahead_for_a_card_is_that_of_the_cpu(cuda):
    direct = KeyedNoise(1, "set", [str(n) for n in range(7)], (3, 32, 32))
    with drawn_ahead(KeyedNoise(1, "set", direct.image_ids, direct.shape, cuda)) as noise:
        assert isinstance(noise, NoiseAhead)
        # No value is read to the host in between, so copies overlap with later draws.
        found = [noise.draw(p, step) for step in range(20) for p in ("posterior", "outside")]
    wanted = [direct.draw(p, step) for step in range(20) for p in ("posterior", "outside")]
    assert all(torch.equal(a.cpu(), b) for a, b in zip(found, wanted, strict=True))
