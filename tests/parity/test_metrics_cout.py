"""COUT reproduces the published curves, masks and scores, binary and multi-class."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vcebench.metrics.cout import block_size, change_map, cout

VALUES = json.loads(
    (Path(__file__).parent / "golden" / "metrics" / "metrics.json").read_text(encoding="utf-8")
)["cout"]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
ABSOLUTE = 1e-5


@pytest.fixture
def pairs(golden_file):
    return golden_file("metrics/cout")


@pytest.fixture
def binary(golden_classifier):
    """Images in [0, 1] -> probabilities of the classes 0 and 1."""

    def probabilities(images):
        logit = golden_classifier(images * 2 - 1)[:, 0]
        return torch.stack([(-logit).sigmoid(), logit.sigmoid()], dim=1)

    return probabilities


@pytest.fixture
def multiclass(golden_classifier, golden_file):
    """Images in [0, 1] -> probabilities of five classes."""
    network = type(golden_classifier)(logits=5)
    network.load_state_dict(golden_file("trajectories/classifier_multiclass"), strict=True)
    return lambda images: network((images - MEAN) / STD).softmax(dim=1)


@pytest.fixture
def transition(request, pairs, binary, multiclass):
    images, counterfactuals = pairs["imgs"], pairs["cfs"]
    if request.param == "binary":
        source = (pairs["binary_logits_img"] > 0).long()
        return cout(images, counterfactuals, source, 1 - source, binary, batch_size=50)
    source = torch.full((len(images),), VALUES["multiclass"]["label"])
    target = torch.full((len(images),), VALUES["multiclass"]["target"])
    return cout(images, counterfactuals, source, target, multiclass, batch_size=50)


CASES = pytest.mark.parametrize(
    ("transition", "case"),
    [("binary", "binary"), ("multiclass", "multiclass")],
    indirect=["transition"],
)


def test_step():
    assert block_size(VALUES["num_pixels"]) == VALUES["step"]


def test_mask(pairs):
    change = change_map(pairs["imgs"], pairs["cfs"]).double().flatten(1)
    low, high = change.amin(1, keepdim=True), change.amax(1, keepdim=True)
    mask = pairs["mask"].flatten(1)  # the change on [0, 1] of its own range
    np.testing.assert_allclose((change - low) / (high - low), mask, atol=1e-6)


@CASES
def test_fractions(pairs, transition, case):
    np.testing.assert_array_equal(transition.fractions, pairs[f"{case}_index"].numpy())
    assert len(transition.fractions) == VALUES[case]["points_per_curve"]


@CASES
def test_source_curves(pairs, transition, case):
    np.testing.assert_allclose(transition.source, pairs[f"{case}_c_curve"].numpy(), atol=ABSOLUTE)


@CASES
def test_target_curves(pairs, transition, case):
    expected = pairs[f"{case}_c_prime_curve"].numpy()
    np.testing.assert_allclose(transition.target, expected, atol=ABSOLUTE)


@CASES
def test_scores(pairs, transition, case):
    expected = pairs[f"{case}_per_image"].numpy()
    np.testing.assert_allclose(transition.scores, expected, atol=ABSOLUTE)
    assert transition.scores.mean() == pytest.approx(VALUES[case]["cout"], abs=ABSOLUTE)
    assert transition.scores.sum() == pytest.approx(VALUES[case]["sum_over_images"], abs=4e-5)
