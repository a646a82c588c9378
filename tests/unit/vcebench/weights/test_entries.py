"""Which weights of a checkpoint are taken, and that it is said."""

from pathlib import Path

import pytest
import torch

from vcebench.weights.entries import choose
from vcebench.weights.shipped import NetworkFileError

RAW = {"a.weight": torch.zeros(2, 3), "b.bias": torch.zeros(4)}
EMA = {key: value + 1 for key, value in RAW.items()}
WANTED = {key: tuple(value.shape) for key, value in RAW.items()}
FILE = Path("model.pt")


def under(prefix, state):
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "model_ema.", "backbone.", "module._orig_mod."]
)
def test_what_all_keys_begin_with_is_taken_off_and_named(prefix):
    found = choose({"state_dict": under(prefix, RAW), "epoch": 3}, FILE, WANTED)
    assert found.state.keys() == RAW.keys()
    assert any(repr(prefix) in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "ema"),
    [
        ({"model": RAW, "ema": EMA, "optimizer": {"state": {}}}, "ema"),
        ({"model": RAW, "ema": {"state_dict": EMA, "decay": 0.9}}, "ema.state_dict"),
        (under("model.", RAW) | under("model_ema.", EMA), "model_ema"),
    ],
    ids=["entries", "nested", "prefixes"],
)
def test_raw_weights_are_taken_aloud_and_averaged_ones_on_demand(content, ema):
    found = choose(content, FILE, WANTED)
    assert float(found.state["b.bias"][0]) == 0
    assert any("is taken" in note and ema in note for note in found.notes)
    assert float(choose(content, FILE, WANTED, ema).state["b.bias"][0]) == 1


def test_an_entry_that_fits_is_taken_before_one_that_does_not():
    found = choose({"model": {"other": torch.zeros(1)}, "net": RAW}, FILE, WANTED)
    assert found.state.keys() == RAW.keys()


@pytest.mark.parametrize(
    ("content", "entry", "words"),
    [([1], None, "not a state dict"), ({"epoch": 3}, None, "no state dict"), (RAW, "ema", "'ema'")],
)
def test_other_files_are_refused(content, entry, words):
    with pytest.raises(NetworkFileError, match=words):
        choose(content, FILE, WANTED, entry)
