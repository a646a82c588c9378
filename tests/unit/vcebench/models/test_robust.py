"""Shipped robust and plain classifiers: what their cards say holds on some of the test split."""

import math
from functools import cache

import pytest
import torch

from vcebench.models.classifier import BinaryClassifier, PairClassifier
from vcebench.models.loading import load_bundle
from vcebench.models.shipped import ASSETS, FILES, load_network
from vcebench.training.registry import recipe_of
from vcebench.weights.shipped import NetworkFileError, read_card

SOME = 64
QUESTIONS = {
    "digits": ((None, ""),),
    "synthfaces": ((0, "Smiling "), (1, "Young ")),
    "synthroads": ((0, ""),),
}
PLAIN = {
    "digits": "classifier-plain",
    "synthfaces": "classifier-smile-plain",
    "synthroads": "classifier-plain",
}


def pictures(dataset):
    """The first of `test`, and the labels of each question."""
    if dataset == "digits":
        from vcebench.data.digits import arrays

        images, labels = arrays("test")
        return images[:SOME], [labels[:SOME]]
    if dataset == "synthfaces":
        from vcebench.data.synthfaces.scm import INDEX
        from vcebench.training.faces import faces

        images, attributes = faces("test", SOME)
        return images, [attributes[:, INDEX[name]] for name in ("Smiling", "Young")]
    from vcebench.training.synthroads import labelled

    images, labels = labelled("test", SOME)
    return images, [labels[:, 0]]


@cache
def share(name, dataset, question, factor):
    """Share of pictures that a shipped network is right on under the attack, in factors of ε."""
    from vcebench.training.robustness import under_attack

    network, _ = load_network(ASSETS / dataset / f"{name}.safetensors")
    epsilon = read_card(ASSETS / dataset / "robust.safetensors")["epsilon"]
    images, labels = pictures(dataset)
    column = QUESTIONS[dataset][question][0]
    found = under_attack(network, images, labels[question], factor * epsilon, 20, column)
    return float(found.float().mean())


def deviations(expected):
    """Three binomial deviations of a share of `SOME` pictures."""
    return 3 * math.sqrt(max(expected * (1 - expected), 0.01) / SOME)


ASKED = [(dataset, n) for dataset, asked in QUESTIONS.items() for n in range(len(asked))]


@pytest.mark.parametrize(("dataset", "question"), ASKED)
def test_robust_classifiers_stand_the_attack_of_their_card(dataset, question):
    pytest.importorskip("art")
    card = read_card(ASSETS / dataset / "robust.safetensors")
    stated = card["measured"][f"{QUESTIONS[dataset][question][1]}pgd20"]
    found = share("robust", dataset, question, 1)
    assert found == pytest.approx(stated, abs=deviations(stated))


@pytest.mark.parametrize(
    ("dataset", "question"),
    [pytest.param(*a, marks=pytest.mark.slow) if a[0] == "synthroads" else a for a in ASKED],
)
def test_they_do_not_hide_their_gradient(dataset, question):
    pytest.importorskip("art")
    near, far = (share("robust", dataset, question, factor) for factor in (1, 8))
    assert far < 0.15
    assert near - far > 0.5


@pytest.mark.parametrize("dataset", PLAIN)
def test_plain_classifiers_are_as_accurate_and_do_not_stand_it(dataset):
    pytest.importorskip("art")
    name = PLAIN[dataset]
    assert read_card(ASSETS / dataset / f"{name}.safetensors")["measured"]["test_accuracy"] >= 0.97
    assert share(name, dataset, 0, 1) < share("robust", dataset, 0, 1) - 0.1


@pytest.mark.parametrize("dataset", PLAIN)
def test_they_share_neither_seed_nor_architecture(dataset):
    cards = [read_card(ASSETS / dataset / f"{n}.safetensors") for n in ("robust", PLAIN[dataset])]
    assert cards[0]["seed"] != cards[1]["seed"]
    assert [c["recipe"]["architecture"] for c in cards] == [
        "smooth-classifier",
        "strided-classifier",
    ]


@pytest.mark.parametrize("dataset", FILES)
def test_every_task_named_for_a_robust_classifier_gets_one(dataset):
    for task in FILES[dataset].robust:
        bundle = load_bundle(dataset, task, needs={"robust"}, metrics=False)
        assert bundle.prior is None
        x = torch.zeros(2, 3, *{"digits": (32, 32)}.get(dataset, (64, 64)))
        target = bundle.classifier.decide(x).target
        assert bundle.robust.log_prob(x, target).shape == (2,)
        assert "robust" in bundle.hashes


def test_it_decides_the_question_of_the_task():
    assert isinstance(load_bundle("digits", "4-9", needs={"robust"}).robust, PairClassifier)
    for column, task in enumerate(("smile", "age")):
        robust = load_bundle("synthfaces", task, needs={"robust"}, metrics=False).robust
        assert isinstance(robust, BinaryClassifier)
        assert robust.index == column


def test_it_is_not_loaded_unless_asked_for():
    bundle = load_bundle("digits", metrics=False)
    assert bundle.robust is None
    assert "robust" not in bundle.hashes


def test_shortcut_tasks_have_none_and_the_message_says_so():
    with pytest.raises(NetworkFileError, match="no robust network ships for synthfaces"):
        load_bundle("synthfaces", "smile-shortcut-hat", needs={"prior", "robust"})


@pytest.mark.parametrize(
    ("dataset", "task", "file"),
    [
        ("digits", "3-8-plain", "classifier-plain"),
        ("digits", "3-8-robust", "robust"),
        ("synthfaces", "smile-plain", "classifier-smile-plain"),
        ("synthfaces", "smile-robust", "robust"),
        ("synthroads", "forward-slowdown-plain", "classifier-plain"),
    ],
)
def test_tasks_of_other_classifiers_explain_them(dataset, task, file):
    from vcebench.weights.shipped import sha256

    bundle = load_bundle(dataset, task, needs=set(), metrics=False)
    assert bundle.hashes["classifier"] == sha256(ASSETS / dataset / f"{file}.safetensors")


def test_they_stay_within_their_share_of_the_wheel():
    files = [ASSETS / d / f"{n}.safetensors" for d in PLAIN for n in ("robust", PLAIN[d])]
    assert sum(path.stat().st_size for path in files) <= 2e6


@pytest.mark.parametrize("dataset", PLAIN)
def test_recipes_are_those_of_the_shipped_files(dataset):
    parts = {part.name: part for part in recipe_of(dataset).parts}
    for name in ("robust", PLAIN[dataset]):
        assert read_card(ASSETS / dataset / f"{name}.safetensors")["recipe"] == parts[name].recipe()
