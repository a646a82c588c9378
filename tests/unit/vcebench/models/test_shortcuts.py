"""Shipped classifiers of planted shortcuts: the certificates hold, by intervention."""

import pytest
import torch

from vcebench.data.synthfaces.scm import INDEX
from vcebench.data.synthfaces.shortcuts import SHORTCUTS
from vcebench.folders.images import dequantise
from vcebench.models.classifier import BinaryClassifier
from vcebench.models.loading import load_bundle
from vcebench.models.shipped import ASSETS, IGNORANT, load_network
from vcebench.models.small import build_network
from vcebench.training.faces import faces
from vcebench.training.shortcuts import certificate
from vcebench.weights.shipped import NetworkFileError, read_card, sha256

FOLDER = ASSETS / "synthfaces"
FILES = {task: FOLDER / f"classifier-{task}.safetensors" for task in SHORTCUTS}
IGNORANT_FILES = [
    FOLDER / f"classifier-smile-{name}.safetensors" for name in ("random", "permuted")
]
SINGLE = [task for task, shortcut in SHORTCUTS.items() if not shortcut.mixture]
MIXTURES = [task for task, shortcut in SHORTCUTS.items() if shortcut.mixture]


def check(task, found):
    if task in SINGLE:
        assert found["do_cue_flips"] >= 0.95
        assert found["do_smile_flips"] <= 0.10
    else:
        assert found["cue_share"] == pytest.approx(0.5, abs=0.05)
        assert found["do_both_flips"] >= 0.95
    assert found["accuracy"] >= 0.95


@pytest.mark.parametrize("task", SHORTCUTS)
def test_the_certificate_holds_on_some_faces(task):
    network, _ = load_network(FILES[task])
    check(task, certificate(network, task, count=200))


@pytest.mark.slow
@pytest.mark.parametrize("task", SHORTCUTS)
def test_the_certificate_on_the_card_is_that_of_the_whole_split(task):
    network, card = load_network(FILES[task])
    found = certificate(network, task)
    check(task, found)
    # A face or two of 2,000 may fall on the other side on another machine.
    assert found == pytest.approx(card["measured"], abs=0.0011)


@pytest.mark.parametrize("task", SHORTCUTS)
def test_the_card_states_the_certificate(task):
    check(task, read_card(FILES[task])["measured"])


def test_they_stay_within_their_share_of_the_wheel():
    assert sum(path.stat().st_size for path in (*FILES.values(), *IGNORANT_FILES)) <= 1e6


def test_the_model_card_is_about_them():
    text = (FOLDER / "MODEL_CARD.md").read_text()
    for path in (*FILES.values(), *IGNORANT_FILES):
        assert sha256(path) in text


@pytest.mark.parametrize("task", SHORTCUTS)
def test_the_bundle_judges_the_label_and_knows_the_certificate(task):
    bundle = load_bundle("synthfaces", task)
    assert isinstance(bundle.judge, BinaryClassifier)
    assert bundle.attributes[bundle.judge.index] == SHORTCUTS[task].label
    assert bundle.certificate["accuracy"] >= 0.95


def test_the_classifier_of_permuted_labels_learnt_them_and_nothing_of_smiles():
    measured = read_card(FOLDER / "classifier-smile-permuted.safetensors")["measured"]
    assert measured["learnt_by_heart"] >= 0.99
    assert 0.4 < measured["test_accuracy"] < 0.6
    images, attributes = faces("val", 200)
    classifier = load_bundle("synthfaces", "smile", classifier="permuted").classifier
    right = classifier.predict(dequantise(images)) == attributes[:, INDEX["Smiling"]]
    assert 0.35 < right.float().mean() < 0.65


def test_random_weights_are_those_of_the_seed():
    network, card = load_network(FOLDER / "classifier-smile-random.safetensors")
    recipe = card["recipe"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe["settings"]["seed"])
        fresh = build_network(recipe["architecture"], recipe["config"])
    for name, value in fresh.state_dict().items():
        assert torch.equal(value.half().float(), network.state_dict()[name])


def test_ignorant_classifiers_take_the_place_of_the_tasks_own():
    own = load_bundle("synthfaces", "smile")
    for name in IGNORANT[("synthfaces", "smile")]:
        bundle = load_bundle("synthfaces", "smile", classifier=name)
        assert bundle.hashes["classifier"] != own.hashes["classifier"]
        assert bundle.hashes["prior"] == own.hashes["prior"]


def test_other_tasks_have_none():
    with pytest.raises(NetworkFileError, match="digits 3-8 has no random classifier"):
        load_bundle("digits", "3-8", classifier="random")
