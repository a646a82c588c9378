"""Networks recorded once and played again: the same bits, and none of their dangers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from vcebench.devices.capture import Captured, CapturedGuide, recorder_for
from vcebench.methods.core.attributions import last_convolution


class Timed(nn.Module):
    """A small network of images and timesteps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(self.conv(z)) * t.view(-1, 1, 1, 1)


@pytest.fixture
def timed() -> nn.Module:
    torch.manual_seed(0)
    return Timed().eval().requires_grad_(False)


@pytest.fixture
def classifier() -> nn.Module:
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 6, 3), nn.SiLU(), nn.Conv2d(6, 6, 3), nn.Tanh(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(6 * 16, 3)).eval().requires_grad_(False)


def images(seed: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def gradient(network: nn.Module, x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(network(at).square().sum(), at)
    return found


@torch.no_grad()
def test_evaluations_are_the_bits_of_the_network(timed, recorder):
    fast, t = Captured(timed, recorder, "prior"), torch.tensor([3, 40])
    found = [fast(images(seed), t + seed) for seed in range(5)]
    for seed, one in enumerate(found):
        assert torch.equal(one, timed(images(seed), t + seed))
    # The first is made as it is, and the second is recorded: of that, one play is a check.
    assert (recorder.recorded, recorder.plays) == (1, 5)


def test_gradients_are_the_bits_of_the_network(classifier, recorder):
    fast = CapturedGuide(classifier, recorder, "classifier")
    found = [gradient(fast, images(seed)) for seed in range(5)]
    for seed, one in enumerate(found):
        assert torch.equal(one, gradient(classifier, images(seed)))
    assert recorder.recorded == 2


def test_no_evaluation_meets_a_leaf_of_another(classifier, recorder):
    # A leaf's node keeps the stream of its first use: in a recording, that of the warm-up.
    nodes: list[object] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            nodes.append(get_gradient_edge(x).node)
            return classifier(x)

    fast = CapturedGuide(Watched(), recorder, "classifier")
    for seed in range(3):
        gradient(fast, images(seed))
    assert recorder.recorded == 2
    assert len(nodes) >= 6
    assert len(set(map(id, nodes))) == len(nodes)


def test_an_evaluation_between_a_forward_and_its_backward_pass_does_not_matter(
    classifier, timed, recorder
):
    fast = CapturedGuide(classifier, recorder, "classifier")
    prior, t = Captured(timed, recorder, "prior"), torch.tensor([3, 40])
    for seed in range(4):
        x, other = images(seed).requires_grad_(), images(seed + 9).requires_grad_()
        first, second = fast(x).square().sum(), fast(other).square().sum()
        with torch.no_grad():
            prior(images(seed), t)
        for loss, at in ((first, x), (second, other), (first, x)):
            (found,) = torch.autograd.grad(loss, at, retain_graph=True)
            assert torch.equal(found, gradient(classifier, at.detach()))


def test_every_shape_is_recorded_once_and_again_when_forgotten(timed, recorder):
    fast, t = Captured(timed, recorder, "prior"), torch.tensor([7])
    with torch.no_grad():
        for _ in range(3):
            for count in (1, 2, 4):
                x = images(count, count)
                assert torch.equal(fast(x, t), timed(x, t))
        assert recorder.recorded == 3
        recorder.forget()
        for _ in range(3):
            assert torch.equal(fast(images(5), t), timed(images(5), t))
    assert recorder.recorded == 4


def test_a_shape_that_comes_once_is_not_recorded(classifier, recorder):
    CapturedGuide(classifier, recorder, "classifier")(images(0))
    assert recorder.recorded == 0


def test_through_the_prior_it_is_the_network_itself(timed, recorder):
    fast, t = Captured(timed, recorder, "prior"), torch.tensor([3, 40])
    for seed in range(3):
        x = images(seed).requires_grad_()
        (found,) = torch.autograd.grad(fast(x, t).sum(), x)
        (wanted,) = torch.autograd.grad(timed(x, t).sum(), x)
        assert torch.equal(found, wanted)
    assert recorder.recorded == 0


def test_what_cannot_be_recorded_runs_as_it_is_and_one_line_says_so(
    timed, recorder, monkeypatch, capsys
):
    def refuse(works: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    monkeypatch.setattr(recorder, "record", refuse)
    fast, t = Captured(timed, recorder, "prior"), torch.tensor([3, 40])
    with torch.no_grad():
        for seed in range(4):
            assert torch.equal(fast(images(seed), t), timed(images(seed), t))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("the prior runs without CUDA graphs, slower: operation not permitted")


def test_a_replay_with_other_numbers_is_never_used(classifier, recorder, monkeypatch, capsys):
    plain = recorder.record

    def wrong(works):
        return plain([*works[:-1], lambda: works[-1]() * 1.001])

    monkeypatch.setattr(recorder, "record", wrong)
    fast = CapturedGuide(classifier, recorder, "classifier")
    for seed in range(4):
        assert torch.equal(gradient(fast, images(seed)), gradient(classifier, images(seed)))
    assert capsys.readouterr().err.count("a replay gave other numbers") == 1


def test_memory_that_runs_out_is_no_reason_to_go_on_as_if_nothing_was(timed, recorder, monkeypatch):
    def full(works: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(recorder, "record", full)
    fast, t = Captured(timed, recorder, "prior"), torch.tensor([3, 40])
    with torch.no_grad():
        fast(images(0), t)
        with pytest.raises(torch.cuda.OutOfMemoryError):
            fast(images(1), t)


def test_faults_of_a_network_are_its_own(classifier, recorder):
    fast = CapturedGuide(classifier, recorder, "classifier")
    for _ in range(3):
        with pytest.raises(RuntimeError, match="expected input"):
            fast(torch.zeros(1, 4, 8, 8))


def test_who_hooks_into_a_copy_hears_every_evaluation(classifier, recorder):
    fast = CapturedGuide(classifier, recorder, "classifier")
    for seed in range(3):
        fast(images(seed))
    heard: list[Tensor] = []
    twin = copy.deepcopy(fast)
    last_convolution(twin).register_forward_hook(lambda *call: heard.append(call[2]))
    for seed in range(3):
        twin(images(seed))
    assert len(heard) == 3


def test_on_a_cpu_nothing_is_recorded():
    assert recorder_for(torch.device("cpu")) is None
