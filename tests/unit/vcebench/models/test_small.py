"""The small networks."""

import pytest
import torch

from vcebench.models.small import ARCHITECTURES, FeatureView, build_network

UNET = {"model_channels": 32, "channel_mult": [1, 1], "num_res_blocks": 1}


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (64, 128)])
@pytest.mark.parametrize("name", ["smooth-classifier", "residual-encoder"])
def test_classifiers_take_every_size(name, size):
    network = build_network(name, {"outputs": 5, "widths": [8, 16, 24]})
    x = torch.zeros(2, 3, *size)
    assert network(x).shape == (2, 5)
    assert FeatureView(network)(x).shape == (2, 24)


def test_perceptual_features_are_maps_at_half_resolution():
    features = build_network("perceptual-features", {"widths": [4, 6]})(torch.randn(2, 3, 16, 16))
    assert features.shape == (2, 6, 8, 8)
    assert features.min() >= 0


def test_unet_by_name_takes_lists_from_json():
    network = build_network("unet", UNET)
    assert network(torch.zeros(1, 3, 8, 8), torch.tensor([3])).shape == (1, 6, 8, 8)


@pytest.mark.parametrize("name", ["smooth-classifier", "residual-encoder"])
def test_no_strided_or_max_pooled_layer(name):
    for layer in build_network(name, {"outputs": 2}).modules():
        assert not isinstance(layer, torch.nn.MaxPool2d)
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.stride == (1, 1)


def test_unknown_architecture_is_named():
    with pytest.raises(ValueError, match="unknown architecture 'vgg'"):
        build_network("vgg", {})


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_wrong_configuration_is_one_sentence(name):
    with pytest.raises(ValueError, match="does not fit"):
        build_network(name, {"depth": 3})
