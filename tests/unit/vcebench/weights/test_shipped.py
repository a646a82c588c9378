"""Network files: float16 on disk, strict on the way back."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from vcebench.models.shipped import load_network
from vcebench.models.small import build_network
from vcebench.weights.shipped import NetworkFileError, read_card, save_network, sha256, update_card

NAME, CONFIG = "smooth-classifier", {"outputs": 2, "widths": [8, 8]}


@pytest.fixture
def stored(tmp_path):
    network = build_network(NAME, CONFIG)
    path = tmp_path / "classifier.safetensors"
    save_network(path, network, NAME, CONFIG, {"seed": 3})
    return path, network


def test_round_trip_is_float16_on_disk_and_float32_in_memory(stored):
    path, network = stored
    loaded, card = load_network(path)
    assert card == {"seed": 3}
    assert {v.dtype for v in load_file(path).values()} == {torch.float16}
    for before, after in zip(network.parameters(), loaded.parameters(), strict=True):
        assert after.dtype == torch.float32
        assert torch.equal(before.half().float(), after)


def test_loaded_networks_are_frozen_and_in_evaluation_mode(stored):
    loaded, _ = load_network(stored[0])
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_updating_the_card_keeps_the_weights(stored):
    path, _ = stored
    before = load_file(path)
    update_card(path, unit=2.5)
    assert read_card(path) == {"seed": 3, "unit": 2.5}
    assert all(torch.equal(before[k], v) for k, v in load_file(path).items())


def test_saving_again_gives_the_same_bytes(stored, tmp_path):
    path, network = stored
    save_network(tmp_path / "again.safetensors", network, NAME, CONFIG, {"seed": 3})
    assert sha256(path) == sha256(tmp_path / "again.safetensors")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])
def test_weights_that_float16_cannot_hold_are_not_written(tmp_path, bad):
    network = build_network(NAME, CONFIG)
    nn.init.constant_(network.head.bias, bad)
    with pytest.raises(NetworkFileError, match=r"head\.bias is not finite"):
        save_network(tmp_path / "x.safetensors", network, NAME, CONFIG, {})
    assert list(tmp_path.iterdir()) == []


def _rewrite(path, change):
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m: t["head.bias"].fill_(float("nan")), "head.bias holds NaN"),
        (lambda t, m: t.pop("head.bias"), "does not fit its architecture: .*head.bias"),
        (lambda t, m: t.update(extra=torch.zeros(1)), "does not fit its architecture: .*extra"),
        (lambda t, m: m.clear(), "not a network file"),
    ],
)
def test_files_that_do_not_fit_are_refused(stored, change, message):
    path, _ = stored
    _rewrite(path, change)
    with pytest.raises(NetworkFileError, match=message):
        load_network(path)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(NetworkFileError, match=r"gone\.safetensors is missing"):
        load_network(tmp_path / "gone.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not a network")
    with pytest.raises(NetworkFileError, match="cannot be read"):
        load_network(damaged)
