"""All networks of an embedded task; the shipped digits networks keep what their card says."""

import pytest
import torch

from vcebench.data.digits import arrays
from vcebench.data.registry import UnknownNameError
from vcebench.data.synthroads import scm
from vcebench.models.classifier import NoneOfClassifier, PairClassifier
from vcebench.models.loading import load_bundle
from vcebench.models.shipped import ASSETS
from vcebench.training.supervised import accuracy
from vcebench.weights.shipped import NetworkFileError, read_card, sha256

DIGITS = ASSETS / "digits"


@pytest.fixture(scope="module")
def bundle():
    return load_bundle("digits", "4-9")


def test_roles_have_the_shapes_that_methods_and_metrics_expect(bundle):
    x = torch.zeros(2, 3, 32, 32)
    assert bundle.prior.posterior(x, 59).mean.shape == x.shape
    assert bundle.perceptual(x).shape == (2, 32, 16, 16)
    assert bundle.representation(x).shape == (2, 64)
    assert bundle.oracle(x).shape == (2, 10)
    assert bundle.identity is None


def test_what_nobody_needs_is_not_loaded(bundle):
    lean = load_bundle("digits", "4-9", needs=frozenset(), metrics=False)
    assert set(lean.hashes) == {"classifier"}
    assert (lean.prior, lean.perceptual, lean.oracle) == (None, None, None)
    measured = load_bundle("digits", "4-9", needs=frozenset())
    assert set(measured.hashes) == set(bundle.hashes) - {"prior"}
    assert set(load_bundle("digits", needs={"prior"}, metrics=False).hashes) == {
        "classifier",
        "prior",
    }


def test_a_role_that_no_file_plays_is_refused_before_anything_is_read():
    with pytest.raises(NetworkFileError, match="no segments network ships for digits 3-8"):
        load_bundle("digits", needs={"prior", "segments"})


def test_classifier_and_judge_answer_the_tasks_question(bundle):
    assert isinstance(bundle.classifier, PairClassifier)
    assert isinstance(bundle.judge, PairClassifier)
    assert bundle.classifier.pair == bundle.judge.pair == (4, 9)


def test_the_judge_shares_nothing_with_the_classifier():
    classifier, judge = (read_card(DIGITS / f"{n}.safetensors") for n in CLASSIFIER_AND_JUDGE)
    assert classifier["seed"] != judge["seed"]
    assert classifier["recipe"]["architecture"] != judge["recipe"]["architecture"]


CLASSIFIER_AND_JUDGE = ("classifier", "representation")


def test_the_prior_is_on_the_schedule_of_its_card(bundle):
    assert len(bundle.prior.schedule) == 200
    assert bundle.prior.schedule.timestep_map[-1] == 499


def test_hashes_are_of_the_files(bundle):
    assert bundle.hashes["prior"] == sha256(DIGITS / "prior.safetensors")
    assert set(bundle.hashes) == set(bundle.backbones)


def test_the_oracle_of_driving_scenes_decides_by_their_causes():
    roads = load_bundle("synthroads")
    x = torch.zeros(2, 3, 64, 128)
    assert roads.prior.posterior(x, 59).mean.shape == x.shape
    assert isinstance(roads.judge, NoneOfClassifier)
    logits = roads.oracle(x)
    assert logits.shape == (2, len(scm.NAMES))
    stops = (logits[:, : len(scm.STOPPING)] > 0).any(dim=1)
    assert torch.equal(roads.judge.decide(x).prediction == 1, ~stops)


def test_every_call_loads_networks_of_its_own(bundle):
    assert load_bundle("digits", "4-9").classifier.network is not bundle.classifier.network


def test_default_task(bundle):
    assert load_bundle("digits").classifier.pair == (3, 8)


@pytest.mark.parametrize("name", CLASSIFIER_AND_JUDGE)
def test_shipped_accuracy_is_the_cards_and_above_the_floor(bundle, name):
    network = bundle.classifier.network if name == "classifier" else bundle.oracle
    stated = read_card(DIGITS / f"{name}.safetensors")["measured"]["test_accuracy"]
    # One image of the 500 may fall on the other side on another machine.
    assert accuracy(network, *arrays("test")) == pytest.approx(stated, abs=0.0021)
    assert stated >= 0.97


def test_digits_networks_stay_within_their_share_of_the_wheel():
    assert sum(path.stat().st_size for path in DIGITS.iterdir()) <= 6e6


def test_the_model_card_is_about_the_shipped_files():
    text = (DIGITS / "MODEL_CARD.md").read_text()
    for path in DIGITS.glob("*.safetensors"):
        assert sha256(path) in text


def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(NetworkFileError, match=r"is missing: run `vcebench train digits --part"):
        load_bundle("digits", folder=tmp_path)


def test_unknown_names_show_the_nearest():
    with pytest.raises(UnknownNameError, match="digits"):
        load_bundle("digit")
    with pytest.raises(UnknownNameError, match="3-8"):
        load_bundle("digits", "3-9")
