"""What a run on a GPU does not use waits in host memory."""

import pytest
import torch
from torch import nn

from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import BinaryClassifier
from vcebench.running.parked import idle, parked


@pytest.fixture
def bundle() -> Bundle:
    shared = nn.Linear(3, 1)
    return Bundle(
        classifier=BinaryClassifier(nn.Sequential(nn.Linear(3, 3), shared)),
        prior=Prior(nn.Linear(3, 3), linear_schedule(200)),
        perceptual=nn.Linear(3, 3),
        representation=nn.Linear(3, 3),
        oracle=nn.Sequential(shared),
        identity=nn.Linear(3, 3),
    )


def test_what_only_metrics_ask_is_idle_unless_it_shares_weights(bundle):
    assert idle(bundle, "fast") == [bundle.representation, bundle.identity]


def test_a_prior_with_a_reduced_twin_is_idle(bundle):
    assert idle(bundle, "fp16") == [bundle.representation, bundle.identity, bundle.prior]


def test_on_a_cpu_nothing_moves(bundle, monkeypatch):
    monkeypatch.setattr(nn.Module, "to", lambda *call: pytest.fail("moved"))
    with parked(bundle, "fp16"):
        pass


def test_idle_networks_leave_the_device_and_come_back_whatever_happens(bundle, monkeypatch):
    monkeypatch.setattr(Bundle, "device", torch.device("meta"))  # stands for a GPU
    moves: list[tuple[nn.Module, str]] = []
    monkeypatch.setattr(nn.Module, "to", lambda self, device: moves.append((self, str(device))))

    def fail() -> None:
        with parked(bundle, "exact"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    kept = [bundle.representation, bundle.identity]
    assert moves == [(n, "cpu") for n in kept] + [(n, "meta") for n in kept]
