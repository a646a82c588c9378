"""The resumable training loop."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vcebench.training.loop import LoopSettings, atomic_save, fit

SETTINGS = LoopSettings(steps=12, seed=5, learning_rate=0.05, warmup=2, ema=0.9, save_every=3)


class KilledError(Exception):
    """Stands for SIGKILL: nothing is cleaned up."""


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 1))


def loss(module, generator):
    x = torch.randn(4, 3, 8, 8, generator=generator)
    return F.mse_loss(module(x)[:, 0], x.mean(dim=(1, 2, 3)))


def killed_at(step):
    count = 0

    def dying(module, generator):
        nonlocal count
        count += 1
        if count > step:
            raise KilledError
        return loss(module, generator)

    return dying


def run(path, loss=loss, settings=SETTINGS):
    module = network()
    fit("part", module, loss, settings, path, progress=False)
    return module.state_dict()


@pytest.mark.parametrize("step", [1, 3, 8, 11])
def test_resumed_training_equals_an_uninterrupted_one_bit_by_bit(tmp_path, step):
    expected = run(tmp_path / "whole.pt")
    with pytest.raises(KilledError):
        run(tmp_path / "part.pt", killed_at(step))
    resumed = run(tmp_path / "part.pt")
    assert all(torch.equal(expected[k], resumed[k]) for k in expected)


def test_a_finished_training_is_not_repeated(tmp_path):
    expected = run(tmp_path / "a.pt")
    again = run(tmp_path / "a.pt", killed_at(0))
    assert all(torch.equal(expected[k], again[k]) for k in expected)


def test_training_reduces_the_loss(tmp_path):
    generator = torch.Generator().manual_seed(1)
    before = network().eval()
    after = network()
    settings = LoopSettings(steps=150, seed=5, learning_rate=0.01, warmup=2, ema=0.9)
    fit("part", after, loss, settings, tmp_path / "a.pt", progress=False)
    x = torch.randn(256, 3, 8, 8, generator=generator)
    target = x.mean(dim=(1, 2, 3))
    assert F.mse_loss(after(x)[:, 0], target) < 0.5 * F.mse_loss(before(x)[:, 0], target)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    run(tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"other settings \(steps.*\): train with --restart"):
        run(tmp_path / "a.pt", settings=LoopSettings(steps=13, seed=5))


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    with pytest.raises(ValueError, match="loss of part is nan at step 0"):
        run(tmp_path / "a.pt", lambda module, generator: module[0].weight.sum() * float("nan"))


def test_the_callers_random_state_is_left_alone(tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    module = network()
    torch.manual_seed(7)
    fit("part", module, loss, SETTINGS, tmp_path / "a.pt", progress=False)
    assert torch.equal(torch.rand(1), expected)


def test_learning_rate_warms_up_and_falls_to_zero():
    settings = LoopSettings(steps=100, seed=0, learning_rate=1.0, warmup=10)
    assert settings.rate(0) == pytest.approx(0.1)
    assert settings.rate(10) == pytest.approx(1.0)
    assert settings.rate(99) < 1e-3


def test_a_failed_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    atomic_save({"step": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        atomic_save(lambda: None, path)
    assert torch.load(path, weights_only=True) == {"step": 1}


@pytest.mark.parametrize("content", [b"", b"nonsense", None], ids=["empty", "no file", "cut off"])
def test_a_damaged_state_is_one_line(tmp_path, content):
    path = tmp_path / "a.pt"
    run(path)
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(ValueError, match=r"a\.pt is damaged, .* train with --restart"):
        run(path)


@pytest.mark.parametrize(
    ("entry", "value"), [("module", {}), ("optimizer", {}), ("average", []), ("step", "many")]
)
def test_a_state_that_does_not_fit_is_one_line(tmp_path, entry, value):
    path = tmp_path / "a.pt"
    run(path)
    atomic_save({**torch.load(path, weights_only=True), entry: value}, path)
    with pytest.raises(ValueError, match="does not fit this training"):
        run(path)
