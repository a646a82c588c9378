"""Score-CAM against its authors' class on a tiny network."""

import pytest
import torch
from golden_latent import Cam

from vcebench.methods.core.attributions import score_cam


@pytest.fixture(scope="module")
def run(golden_file):
    return golden_file("latent/eced/score_cam")


@pytest.fixture(scope="module")
def classifier(golden_file):
    return Cam(golden_file("latent/networks/classifier_cam")).eval()


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_the_network_is_the_golden_one(run, classifier):
    with torch.no_grad():
        close(classifier.logits(run["image"]), run["logits"])


def test_maps_of_the_predicted_class(run, classifier):
    found = score_cam(run["image"], run["source"], classifier, classifier.features[4])
    close(found[:, 0], run["map_source"])


@pytest.mark.parametrize("class_", range(3))
def test_maps_of_every_class(run, classifier, class_):
    classes = torch.full((2,), class_)
    found = score_cam(run["image"], classes, classifier, classifier.features[4])
    close(found[:, 0], run["maps_by_class"][class_])


@pytest.mark.parametrize("threshold", ["0.45", "0.65"])
def test_masks_are_exact(run, classifier, threshold):
    found = score_cam(run["image"], run["source"], classifier, classifier.features[4])
    assert torch.equal(found[:, 0] >= float(threshold), run[f"mask_{threshold}"].bool())


def test_the_classifier_keeps_no_hook(run, classifier):
    score_cam(run["image"], run["source"], classifier)
    assert not any(module._forward_hooks for module in classifier.modules())
