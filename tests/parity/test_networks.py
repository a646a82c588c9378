"""The U-Net loads the published key names and computes what the release computed."""

import torch


def test_unet_output(golden_unet, golden_file):
    check = golden_file("trajectories/forward_check")
    with torch.no_grad():
        output = golden_unet(check["x"], check["t"])
    torch.testing.assert_close(output, check["unet_output"], atol=1e-5, rtol=0)


def test_unet_output_is_the_same_in_channels_last(golden_unet, golden_file):
    check = golden_file("trajectories/forward_check")
    x = check["x"].contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        output = golden_unet(x, check["t"])
    torch.testing.assert_close(output, check["unet_output"], atol=1e-5, rtol=0)


def test_classifier_and_features(golden_classifier, golden_perceptual, golden_file):
    check = golden_file("trajectories/forward_check")
    with torch.no_grad():
        logit = golden_classifier(check["x"])[:, 0]
        features = golden_perceptual(check["x"][:2].clamp(-1, 1))[:, ::2]
    torch.testing.assert_close(logit, check["classifier_logit"], atol=1e-5, rtol=0)
    torch.testing.assert_close(features, check["perceptual_features"], atol=1e-5, rtol=0)
