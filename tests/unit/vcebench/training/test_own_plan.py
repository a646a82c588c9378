"""What a network of one's own images is by default, by size and device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vcebench.cli import main
from vcebench.training.loop import LoopSettings, fit
from vcebench.training.own_plan import OwnPlan, usual


@pytest.mark.parametrize(
    ("size", "device", "width", "minutes"),
    [
        ((32, 32), "cpu", 32, 15),
        ((64, 64), "cpu", 32, 60),
        ((128, 128), "cpu", 64, 240),
        ((16, 16), "cpu", 32, 15),
        ((32, 32), "cuda", 64, 15),
        ((64, 64), "cuda", 64, 15),
        ((128, 128), "cuda", 64, 60),
    ],
)
def test_width_and_time_follow_the_size_and_the_device(size, device, width, minutes):
    assert usual(size, device) == {"width": width, "budget": 60.0 * minutes}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[OwnPlan]:
    """The plans that `vcebench train` would carry out."""
    plans: list[OwnPlan] = []

    def train_own(role: str, folder: Path, output: Path, plan: OwnPlan, *more: Any, **named: Any):
        plans.append(plan)
        return output

    monkeypatch.setattr("vcebench.training.folder.train_own", train_own)
    return plans


@pytest.mark.parametrize("there", [True, False])
def test_a_card_is_used_where_there_is_one(asked, monkeypatch, tmp_path, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    words = ["train", "prior", "--data", str(tmp_path), "--size", "32"]
    assert main(words) == 0
    assert main([*words, "--device", "cpu", "--width", "96", "--budget", "2m"]) == 0
    assert main(["train", "bridge", *words[2:]]) == 0
    first, told, bridge = asked
    assert (first.device, first.width) == (("cuda", 64) if there else ("cpu", 32))
    assert (told.device, told.width, told.budget) == ("cpu", 96, 120.0)
    assert (bridge.device, bridge.width) == ("cpu", 32)


def test_a_device_that_is_not_there_or_not_used_is_refused(asked, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["train", "prior", "--data", str(tmp_path), "--device", "cuda"]) == 2
    assert "use --device cpu" in capsys.readouterr().err
    assert main(["train", "bridge", "--data", str(tmp_path), "--device", "cuda"]) == 2
    assert "--device is for `train prior`" in capsys.readouterr().err
    assert not asked


def test_a_training_takes_its_module_to_the_device(tmp_path):
    seen = []

    def loss(network: nn.Module, generator: torch.Generator) -> torch.Tensor:
        seen.append(next(network.parameters()).device.type)
        raise InterruptedError  # `meta` has no values to go on with

    with pytest.raises(InterruptedError):
        fit("x", nn.Linear(2, 1), loss, LoopSettings(1, 0), None, progress=False, device="meta")
    assert seen == ["meta"]
