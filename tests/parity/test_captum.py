"""Attributions through captum against what the authors' code got from it."""

import pytest
import torch

from vcebench.models.attributions import captum_attribution

pytest.importorskip("captum")


@pytest.mark.parametrize("name", ["input-x-gradient", "gradcam", "occlusion"])
def test_attributions(golden_file, five, name):
    run = golden_file("rcsb/regions")
    x = run["x_uint8"].float() / 127.5 - 1
    found = captum_attribution(name)(x, run["source"], five)
    expected = run[f"attr_{name.replace('-', '_')}"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gradcam", "guided-gradcam", "deep-lift", "deconvolution"])
def test_no_image_sees_another(golden_file, five, name):
    run = golden_file("rcsb/regions")
    x = run["x_uint8"].float() / 127.5 - 1
    together = captum_attribution(name)(x, run["source"], five)
    alone = captum_attribution(name)(x[1:2], run["source"][1:2], five)
    torch.testing.assert_close(alone, together[1:2], atol=1e-6, rtol=0)
    assert found_something(together)


def found_something(maps):
    return bool((maps.flatten(1).abs().amax(dim=1) > 0).all())
