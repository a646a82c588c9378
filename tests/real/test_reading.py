"""Files are read without executing them, and refused by name where they do not fit."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vcebench.weights import reading
from vcebench.weights.cards import CARDS
from vcebench.weights.reading import read_state
from vcebench.weights.shipped import NetworkFileError

VGG = CARDS["vgg19"]
FACES = CARDS["vggface2"]


class Bomb:
    """What executes when it is unpickled by pickle itself."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def vgg(published_state):
    return published_state("vgg19")


def written(tmp_path, content):
    path = tmp_path / "file.pth"
    torch.save(content, path)
    return path


def refused(path, card, *words):
    with pytest.raises(NetworkFileError) as caught:
        read_state(path, card)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_full_file_is_cut_down_to_the_keys_needed(tmp_path, vgg):
    more = {"features.19.weight": torch.zeros(2), "classifier.0.bias": torch.zeros(2)}
    assert read_state(written(tmp_path, {**vgg, **more}), VGG).keys() == vgg.keys()


@pytest.mark.parametrize("wrap", ["state_dict", "model_state_dict", "model"])
def test_wrapper_dictionaries_are_taken_off(tmp_path, vgg, wrap):
    path = written(tmp_path, {"epoch": 3, wrap: vgg, "optimizer": {}})
    assert read_state(path, VGG).keys() == vgg.keys()


def test_module_prefix_is_taken_off(tmp_path, vgg):
    prefixed = {f"module.{key}": value for key, value in vgg.items()}
    assert read_state(written(tmp_path, prefixed), VGG).keys() == vgg.keys()


def test_a_network_inside_of_an_attacker_is_taken_out(tmp_path, published_state):
    card = CARDS["imagenet-robust-l2"]
    state = {k: v[:1].expand(v.shape) if v.ndim else v for k, v in published_state(card.id).items()}
    wrapped = {f"module.model.{key}": value for key, value in state.items()}
    wrapped["module.normalizer.new_mean"] = torch.zeros(3, 1, 1)
    wrapped["module.attacker.model.fc.bias"] = torch.zeros(1000)
    path = written(tmp_path, {"epoch": 90, "model": wrapped})
    assert read_state(path, card).keys() == state.keys()


def bridge_file(state, **more):
    """A training state as I²SB's program writes it; averages have no names."""
    net = {"noise_levels": torch.zeros(500)} | {f"diffusion_model.{k}": v for k, v in state.items()}
    ones = [torch.ones(()).expand(v.shape) for v in state.values()]
    average = {"decay": 0.99, "num_updates": 3, "shadow_params": ones}
    return {"net": net, "ema": average, "optimizer": {}, "sched": None, **more}


def small_state(id):
    """One number for each tensor of a card, expanded: its shapes without its memory."""
    return {k: torch.zeros(()).expand(s) for k, s in CARDS[id].shapes().items()}


def test_a_bridge_is_read_raw_or_averaged_as_the_card_says(monkeypatch):
    state = small_state("celeba-bridge")
    content = bridge_file(state)
    monkeypatch.setattr(reading, "load_file_safely", lambda path, numpy_pickle=False: content)
    raw = read_state(Path("bridge.pt"), CARDS["celeba-bridge"])
    averaged = read_state(Path("bridge.pt"), CARDS["celeba-bridge-ema"])
    assert raw.keys() == averaged.keys() == state.keys()
    assert {float(v.max()) for v in raw.values()} == {0.0}
    assert {float(v.min()) for v in averaged.values()} == {1.0}
    assert raw["out.2.weight"].shape == (3, 128, 3, 3)


@pytest.mark.parametrize("lacking", ["no entry", "no list", "one tensor less", "other shapes"])
def test_an_average_that_does_not_fit_is_never_taken_for_the_raw_network(monkeypatch, lacking):
    state = small_state("celeba-bridge")
    content = bridge_file(state)
    values = content["ema"]["shadow_params"]
    content["ema"] = {
        "no entry": None,
        "no list": {"shadow_params": state},
        "one tensor less": {"shadow_params": values[1:]},
        "other shapes": {"shadow_params": values[::-1]},
    }[lacking]
    monkeypatch.setattr(reading, "load_file_safely", lambda path, numpy_pickle=False: content)
    with pytest.raises(NetworkFileError, match="import it as celeba-bridge, which is not averaged"):
        read_state(Path("bridge.pt"), CARDS["celeba-bridge-ema"])


def test_groups_become_the_first_part_of_the_key(tmp_path, published_state):
    card = CARDS["celeba-classifier"]
    state = published_state(card.id)
    groups = {
        name: {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
        for name in card.groups
    }
    found = read_state(written(tmp_path, {**groups, "epoch": 1}), card)
    assert found.keys() == state.keys()


def test_legacy_format_is_read(tmp_path, vgg):
    path = tmp_path / "old.pth"
    torch.save(vgg, path, _use_new_zipfile_serialization=False)
    assert read_state(path, VGG).keys() == vgg.keys()


def test_safetensors_are_read(tmp_path, vgg):
    save_file(vgg, tmp_path / "file.safetensors")
    assert read_state(tmp_path / "file.safetensors", VGG).keys() == vgg.keys()


def test_missing_key_is_named(tmp_path, vgg):
    del vgg["features.7.bias"]
    refused(written(tmp_path, vgg), VGG, "missing", "features.7.bias", "VGG-19")


def test_unexpected_key_is_named(tmp_path, vgg):
    refused(written(tmp_path, {**vgg, "head.weight": torch.zeros(1)}), VGG, "unexpected", "head")


def test_other_shape_is_named(tmp_path, vgg):
    vgg["features.0.weight"] = torch.zeros(64, 1, 3, 3)
    refused(written(tmp_path, vgg), VGG, "features.0.weight", "(64, 1, 3, 3)", "(64, 3, 3, 3)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_named(tmp_path, vgg, value):
    vgg["features.2.bias"][3] = value
    refused(written(tmp_path, vgg), VGG, "features.2.bias", "NaN or infinity")


def test_checkpoint_of_another_architecture_is_refused(tmp_path, published_state):
    refused(written(tmp_path, published_state("vgg19")), CARDS["celebahq-classifier"], "missing")


def test_executable_content_is_refused_and_not_executed(tmp_path, vgg):
    canary = tmp_path / "canary"
    path = written(tmp_path, {**vgg, "epoch": Bomb(canary)})
    refused(path, VGG, "nothing in it was executed")
    assert not canary.exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 truncated"])
def test_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    refused(path, VGG, "damaged.pth")


def test_truncated_file_is_refused(tmp_path, vgg):
    path = written(tmp_path, vgg)
    path.write_bytes(path.read_bytes()[:100_000])
    refused(path, VGG, "file.pth")


def test_something_else_than_a_state_dict_is_refused(tmp_path):
    refused(written(tmp_path, [1, 2]), VGG, "list")
    refused(written(tmp_path, {"epoch": 1, "best": 0.3}), VGG, "epoch", "not a tensor")


def test_missing_file_is_named(tmp_path):
    refused(tmp_path / "none.pth", VGG, "none.pth", "missing")


def dump(tmp_path, content, protocol=2):
    path = tmp_path / "faces.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def test_numpy_pickle_is_read(tmp_path, published_state):
    state = {
        key: value.numpy()
        for key, value in published_state("vggface2").items()
        if not key.endswith("num_batches_tracked")
    }
    found = read_state(dump(tmp_path, state), FACES)
    np.testing.assert_array_equal(found["conv1.weight"].numpy(), state["conv1.weight"])
    assert found.keys() == state.keys()


def test_python_2_pickle_of_an_array_is_read(tmp_path):
    from vcebench.weights.pickles import read_arrays

    # {'a': array([1.], dtype=float32)} as Python 2 writes it, byte strings and all
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    kind = b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    body = b"(I1\n(I1\nt" + kind + b"I00\nS'\\x00\\x00\\x80?'\ntb"
    path = tmp_path / "old.pkl"
    path.write_bytes(b"(dS'a'\n" + head + body + b"s.")
    assert read_arrays(path)["a"].tolist() == [1.0]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_that_executes_is_refused_and_not_executed(tmp_path, protocol):
    canary = tmp_path / "canary"
    path = dump(tmp_path, {"conv1.weight": Bomb(canary)}, protocol)
    refused(path, FACES, "refused", "open")
    assert not canary.exists()


def test_pickle_cannot_reach_past_numpy_by_dotted_names(tmp_path):
    path = tmp_path / "dotted.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.")
    refused(path, FACES, "refused")


def test_pickle_of_something_else_is_refused(tmp_path):
    refused(dump(tmp_path, {"a": "text"}), FACES, "not a dictionary of numeric arrays")
    refused(dump(tmp_path, {"a": np.array([{}], dtype=object)}), FACES, "not a dictionary")


@pytest.mark.parametrize("kind", ["zip", "legacy", "module", "script", "tar", "protocol 2"])
def test_a_refusal_never_repeats_pytorchs_advice_to_execute(tmp_path, kind):
    path = tmp_path / "file.pth"
    bomb = {"x": Bomb(tmp_path / "executed")}
    if kind == "module":
        torch.save(torch.nn.Identity(), path)
    elif kind == "script":
        torch.jit.script(torch.nn.Identity()).save(path)
    elif kind == "tar":
        path.write_bytes(b"\0" * 2048)
    elif kind == "protocol 2":
        path.write_bytes(pickle.dumps(bomb, protocol=2))
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(NetworkFileError, match="refused, nothing in it was executed") as caught:
        read_state(path, VGG)
    assert "weights_only" not in str(caught.value)
    assert "safe_globals" not in str(caught.value)
    assert not (tmp_path / "executed").exists()
