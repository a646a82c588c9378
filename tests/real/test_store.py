"""The weights folder: import, checksums, originals left as they came."""

import json

import pytest
import torch
from safetensors.torch import load_file

from vcebench.weights.cards import CARDS, Card
from vcebench.weights.shipped import NetworkFileError, sha256
from vcebench.weights.store import import_file, locate, verify, weights_root

FACES = CARDS["vggface2"]
BDD = CARDS["bdd-classifier"]


@pytest.fixture
def original(tmp_path, published_state):
    path = tmp_path / "checkpoint.tar"
    torch.save({"model_state_dict": published_state("bdd-classifier")}, path)
    return path


@pytest.fixture
def root(tmp_path):
    return tmp_path / "weights"


def test_import_converts_and_records_checksums(original, root):
    stored = import_file(original, BDD, root)
    assert load_file(stored).keys() == BDD.shapes().keys()
    recorded = json.loads((root / "checksums.json").read_text())["bdd-classifier"]
    assert recorded["sha256"] == sha256(original)
    found = locate(BDD, root)
    assert found is not None
    assert found.imported
    assert verify(BDD, found, root) == recorded["stored_sha256"]


def test_refused_import_writes_nothing(original, root):
    with pytest.raises(NetworkFileError):
        import_file(original, CARDS["celeba-oracle"], root)
    assert not root.exists()


def test_changed_file_is_noticed(original, root):
    stored = import_file(original, BDD, root)
    with stored.open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x01\x02\x03\x3c")
    with pytest.raises(NetworkFileError, match="changed since its import"):
        verify(BDD, locate(BDD, root), root)


def test_original_in_the_folder_of_its_card_is_found(original, root):
    (root / "bdd-classifier").mkdir(parents=True)
    original.rename(root / "bdd-classifier" / "checkpoint.tar")
    found = locate(BDD, root)
    assert found is not None
    assert not found.imported


def test_two_files_in_the_folder_of_a_card_are_refused(root):
    (root / "bdd-classifier").mkdir(parents=True)
    for name in ("a.tar", "b.tar"):
        (root / "bdd-classifier" / name).touch()
    with pytest.raises(NetworkFileError, match="2 files"):
        locate(BDD, root)


def test_checksum_in_the_file_name_is_compared(tmp_path, root, published_state):
    path = tmp_path / "vgg19-dcbb9e9d.pth"
    torch.save(published_state("vgg19"), path)
    with pytest.raises(NetworkFileError, match="dcbb9e9d"):
        import_file(path, CARDS["vgg19"], root)


def test_root_is_the_one_given_then_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("VCEBENCH_WEIGHTS", str(tmp_path / "env"))
    assert weights_root(tmp_path / "given") == tmp_path / "given"
    assert weights_root() == tmp_path / "env"
    monkeypatch.delenv("VCEBENCH_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_root() == tmp_path / "cache" / "vcebench" / "weights"


def test_cards_are_complete():
    for card in CARDS.values():
        assert isinstance(card, Card)
        assert card.title
        assert card.file
        assert card.where
        assert card.shapes()
