"""Every published network takes exactly the tensors of its manifest, and runs."""

import subprocess
import sys

import pytest
import torch

from vcebench.data.registry import dataset_entry
from vcebench.methods.core.bridge import BridgePrior
from vcebench.models import real_bundle
from vcebench.models.faces import CelebaHQOracle, CelebaOracle, from_caffe_key
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.published import PRIOR_FLAGS, build_published
from vcebench.weights.cards import CARDS, ROLES, card_named
from vcebench.weights.shipped import NetworkFileError

IMAGE_NETWORKS = {
    "celeba-classifier": (1, 40),
    "celebahq-classifier": (1, 3),
    "bdd-classifier": (1, 4),
    "imagenet-classifier": (1, 1000),
    "imagenet-robust": (1, 1000),
    "imagenet-robust-l2": (1, 1000),
    "celeba-oracle": (1, 40),
    "celebahq-oracle": (1, 40),
    "vggface2": (1, 2048),
    "facenet": (1, 512),
    "simsiam": (1, 2048),
    "inception": (1, 2048),
    "vgg19": (1, 256, 16, 16),
}
PARAMETERS = {
    "celeba-prior": 105_198_598,
    "celebahq-prior": 138_289_926,
    "bdd-prior": 92_130_438,
    "imagenet-prior": 552_814_086,
    # Without the channels of the variance: three rows of 9 weights an input channel, and a bias.
    "celeba-bridge": 105_198_598 - 3 * (9 * 128 + 1),
    "celebahq-bridge-ema": 552_814_086 - 3 * (9 * 256 + 1),
    "imagenet-bridge": 552_814_086 - 3 * (9 * 256 + 1),
}


def image(side=64):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("id", IMAGE_NETWORKS)
def test_network_builds_from_its_manifest_and_runs(id, published_state):
    network = build_published(CARDS[id], published_state(id))
    with torch.no_grad():
        output = network(image())
    assert output.shape == IMAGE_NETWORKS[id]
    assert output.isfinite().all()
    assert not network.training


def test_the_published_autoencoder_divides_by_its_stored_norms(published_state):
    """A convolution of the decoder, and so its picture, is that of the folded weights."""
    state = published_state("celeba-autoencoder")
    network = build_published(CARDS["celeba-autoencoder"], state)
    assert sum(p.numel() for p in network.parameters()) == 67_453_769
    x = image(128)
    with torch.no_grad():
        mean, log_variance = network.encode(x)
        picture = network.decode(mean)
        block = network.decoder.group0.block0
        folded, u, v = (
            state[f"decoder.group0.block0.conv0.weight_{k}"] for k in ("orig", "u", "v")
        )
        weight = folded / (u @ folded.flatten(1) @ v)
        h = torch.randn(1, 512, 4, 4, generator=torch.Generator().manual_seed(2))
        torch.testing.assert_close(
            block.conv0(h), torch.nn.functional.conv2d(h, weight, padding=1), atol=1e-4, rtol=1e-4
        )
    assert mean.shape == log_variance.shape == (1, 128)
    assert picture.shape == x.shape
    assert picture.abs().max() <= 1
    assert mean.isfinite().all()


@pytest.mark.parametrize("id", PARAMETERS)
def test_prior_builds_from_its_manifest(id):
    # Expanded zeros: the shapes of half a billion weights without their memory.
    state = {k: torch.zeros(()).expand(s) for k, s in CARDS[id].shapes().items()}
    network = build_published(CARDS[id], state)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[id]


def test_lpips_of_equal_images_is_zero_and_grows(published_state):
    network = build_published(CARDS["lpips"], published_state("lpips"))
    x = image()
    with torch.no_grad():
        assert network(x, x).item() == 0
        assert network(x, x.flip(3)).shape == (1,)
        assert network(x, x.flip(3)).item() > 0


def test_counters_of_batch_normalisation_may_lack(published_state):
    state = published_state("vggface2")
    without = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    x = image()
    with torch.no_grad():
        one, other = (build_published(CARDS["vggface2"], s)(x) for s in (state, without))
    torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_inception_gives_the_features_of_pytorch_fid(published_state, monkeypatch):
    from pytorch_fid import inception

    state = published_state("inception")
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *a, **k: state)
    x = image()
    with torch.no_grad():
        expected = inception.InceptionV3().eval()((x + 1) / 2)[0].flatten(1)
        found = build_published(CARDS["inception"], state)(x)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_bdd_prior_attends_in_the_middle_only():
    config, steps = config_from_flags(PRIOR_FLAGS["bdd-prior"])
    assert steps == 1000
    assert not set(config.attention_factors) & {1, 2, 4, 8}


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"image_size": 96}, "channel_mult is needed"),
        ({"class_cond": True}, "class_cond"),
        ({"imagesize": 64}, "unknown prior flags imagesize"),
        ({"channel_mult": "1,two"}, "whole numbers"),
    ],
)
def test_flags_that_cannot_be_honoured_are_refused(flags, text):
    with pytest.raises(ValueError, match=text):
        config_from_flags(flags)


def test_celeba_oracle_keeps_its_peculiar_preprocessing(published_state):
    oracle = build_published(CARDS["celeba-oracle"], published_state("celeba-oracle"))
    assert isinstance(oracle, CelebaOracle)
    seen = []
    oracle.feat_extract.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.ones(1, 3, 64, 64) * torch.tensor([-1.0, 0.0, 1.0])[:, None, None]
    with torch.no_grad():
        oracle(x)
    # Flipped to B, G, R, but the means are subtracted in the order R, G, B.
    expected = torch.tensor([1.0, 0.5, 0.0]) - torch.tensor([131.0912, 103.8827, 91.4953]) / 255
    assert seen[0].shape == (1, 3, 224, 224)
    torch.testing.assert_close(seen[0][0, :, 5, 5], expected, atol=1e-6, rtol=0)


def test_release_quirk_of_the_celebahq_oracle_normalises_twice(published_state):
    oracle = build_published(CARDS["celebahq-oracle"], published_state("celebahq-oracle"))
    assert isinstance(oracle, CelebaHQOracle)
    x = image()
    with torch.no_grad():
        plain = oracle((x - 0.5) / 0.5)
        oracle.normalise_twice = True
        quirk = oracle(x)
    torch.testing.assert_close(plain, quirk)


def test_caffe_names_become_torchvision_names():
    assert from_caffe_key("feat_extract.conv3_1_3x3_bn.bias") == "feat_extract.layer2.0.bn2.bias"
    assert from_caffe_key("feat_extract.conv2_1_1x1_proj.weight") == (
        "feat_extract.layer1.0.downsample.0.weight"
    )


def test_every_role_has_a_card():
    ids = {id for roles in ROLES.values() for group in roles.values() for id in group}
    assert ids == set(CARDS)


def test_a_card_is_found_by_data_set_and_role():
    assert card_named("bddoia/prior").id == "bdd-prior"
    with pytest.raises(ValueError, match="celeba/prior"):
        card_named("celeba/priro")


def test_listing_cards_imports_no_network_library():
    code = "import sys, vcebench.weights.cards; assert 'torchvision' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_on_a_bridge_loads_no_prior_and_says_which_weights(monkeypatch, tmp_path):
    loaded = []

    def load(card, path):
        loaded.append(card.id)
        return torch.nn.Conv2d(3, 3, 1)

    monkeypatch.setattr(real_bundle, "load_published", load)
    for id in ("celeba-bridge-ema", "celeba-classifier", "celeba-prior"):
        (tmp_path / f"{id}.safetensors").write_bytes(b"stand-in")
    task = dataset_entry("celeba").task("smile")

    def bundle_of():
        needs = frozenset({"bridge"})
        return real_bundle.load_real_bundle(
            "celeba", task, folder=tmp_path, needs=needs, metrics=False
        )

    bundle = bundle_of()
    assert loaded == ["celeba-classifier", "celeba-bridge-ema"]
    assert isinstance(bundle.prior, BridgePrior)
    assert len(bundle.prior.bridge) == 500
    assert bundle.backbones["bridge"] == "RCSB bridge, CelebA 128, moving average"
    assert bundle.hashes.keys() == {"classifier", "bridge"}
    (tmp_path / "celeba-bridge-ema.safetensors").unlink()
    with pytest.raises(NetworkFileError, match="raw network is missing: get the CelebA 128 bridge"):
        bundle_of()
