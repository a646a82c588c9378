"""The Python interface, on classifiers and priors of other people."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vcebench
from vcebench.methods import Bridge, BridgePrior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.bundle import Bundle

IMAGES = torch.randint(0, 256, (5, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(
    torch.uint8
)


def explain(bundle: Bundle, images: Tensor = IMAGES, **values: Any) -> vcebench.Explanations:
    asked = {
        "classifier": bundle.classifier.network,
        "prior": bundle.prior,
        "lambda_perceptual": 0,
        "batch_size": 2,
        "tau": 2,
        **values,
    }
    return vcebench.explain(images, **asked)


def test_every_image_gets_a_counterfactual(bundle: Bundle) -> None:
    found = explain(bundle, class_unit=3000.0, guidance_scale=40.0, top_k=0.5)
    assert found.counterfactuals.shape == (5, 3, 32, 32)
    assert found.counterfactuals.dtype == torch.uint8
    assert (found.nfe == 2 * found.tries).all()
    assert found.mask_z is not None
    assert found.mask_z.shape == (5, 1, 32, 32)
    assert bool(found.flipped.any())


def test_float_images_are_the_same_images(bundle: Bundle) -> None:
    as_float = explain(bundle, IMAGES.float() / 127.5 - 1)
    assert torch.equal(as_float.counterfactuals, explain(bundle).counterfactuals)


def test_an_image_keeps_its_result_with_its_id(bundle: Bundle) -> None:
    whole = explain(bundle, ids=list("abcde"))
    part = explain(bundle, IMAGES[[3, 1]], ids=["d", "b"])
    assert torch.equal(part.counterfactuals, whole.counterfactuals[[3, 1]])


@pytest.mark.parametrize(
    ("outputs", "classes"), [((), 2), ((1,), 2), ((2,), 2), ((7,), 7)], ids=str
)
def test_classifiers_of_any_output_are_read(
    bundle: Bundle, outputs: tuple[int, ...], classes: int
) -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            level = x.mean(dim=(1, 2, 3))
            return level if not outputs else level[:, None] * torch.linspace(1, 2, outputs[0])

    found = explain(bundle, classifier=Mean())
    assert ((found.target >= 0) & (found.target < classes)).all()
    assert (found.source != found.target).all()


def test_target_can_be_given_for_all_or_for_each(bundle: Bundle) -> None:
    assert explain(bundle, target=4).target.tolist() == [4] * 5
    assert explain(bundle, target=[1, 2, 3, 4, 5]).target.tolist() == [1, 2, 3, 4, 5]


def test_an_input_of_the_target_class_is_explained_against_the_runner_up(bundle: Bundle) -> None:
    found = explain(bundle, target=explain(bundle).prediction)
    assert (found.source != found.target).all()


def test_an_image_of_the_target_class_stays_as_it_is(bundle: Bundle) -> None:
    prediction = explain(bundle).prediction
    wanted = [int(prediction[0]), *((prediction[1:] + 1) % 10).tolist()]
    found = explain(bundle, target=wanted)
    assert found.already_target.tolist() == [True, False, False, False, False]
    assert torch.equal(found.counterfactuals[0], IMAGES[0])
    assert (found.flipped[0], found.tries[0], found.nfe[0]) == (False, 0, 0)
    assert (found.tries[1:] > 0).all()
    assert found.mask_z is not None
    assert not found.mask_z[0].any()
    assert found.prediction.equal(prediction)


def test_results_are_a_table_a_picture_and_single_images(bundle: Bundle) -> None:
    found = explain(bundle, class_unit=3000.0)
    table = found.to_frame()
    assert len(found) == len(table) == 5
    assert table["target"].tolist() == found.target.tolist()
    assert {"flipped", "nfe", "backward", "already_target"} <= set(table.columns)
    one = found[3]
    assert torch.equal(one.counterfactual, found.counterfactuals[3])
    assert one.image is not None
    assert torch.equal(one.image, IMAGES[3])
    assert one.facts["prediction"] == int(found.prediction[3])
    assert found[-1].facts == found[4].facts
    with pytest.raises(IndexError):
        found[5]
    # Two columns of pictures: one row for a single image, as many as asked for of several.
    assert one.show().width == found.show().width
    assert one.show().height < found.show(2).height < found.show().height
    assert found._repr_png_().startswith(b"\x89PNG")
    assert one._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("low", [0.0, -1.0], ids=["[0, 1]", "[-1, 1]"])
def test_the_range_of_float_images_can_be_said(bundle: Bundle, low: float) -> None:
    as_float = IMAGES.float() / 255 * (1 - low) + low
    found = explain(bundle, as_float, value_range=(low, 1.0))
    assert torch.equal(found.counterfactuals, explain(bundle).counterfactuals)


def test_images_without_a_value_below_0_are_doubtful(bundle: Bundle) -> None:
    with pytest.warns(UserWarning, match=r"value_range=\(0, 1\).*value_range=\(-1, 1\)"):
        explain(bundle, IMAGES.float() / 255)


class Ending(nn.Module):
    """A classifier of two classes with a function at its end."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        logit = 3 * x.mean(dim=(1, 2, 3))
        if self.end == "sigmoid":
            return logit.sigmoid()
        both = torch.stack([torch.zeros_like(logit), logit], dim=1)
        return both.softmax(dim=1) if self.end == "softmax" else both


def test_a_softmax_at_the_end_gives_the_probabilities_of_the_logits(bundle: Bundle) -> None:
    plain = explain(bundle, classifier=Ending("nothing"))
    with pytest.warns(UserWarning, match="without its softmax"):
        found = explain(bundle, classifier=Ending("softmax"))
    said = explain(bundle, classifier=Ending("sigmoid"), outputs="probabilities")
    for other in (found, said):
        torch.testing.assert_close(
            other.target_probability_input, plain.target_probability_input, atol=1e-5, rtol=0
        )
        assert other.prediction.equal(plain.prediction)


def test_network_and_schedule_make_a_prior(bundle: Bundle) -> None:
    found = explain(bundle, prior=(bundle.prior.network, linear_schedule(500, 200)))
    assert torch.equal(found.counterfactuals, explain(bundle).counterfactuals)


def test_a_method_without_a_prior_is_given_none(bundle: Bundle) -> None:
    found = vcebench.explain(IMAGES, classifier=bundle.classifier.network, method="pgd")
    with_all = explain(bundle, method="pgd", tau=40, batch_size=16, lambda_perceptual=None)
    assert torch.equal(found.counterfactuals, with_all.counterfactuals)
    assert (found.nfe == 0).all()
    assert (found.backward == 0).all()


class Direction(nn.Module):
    """A bridge's network that finds something, told the level."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, channels, 3, padding=1)

    def forward(self, z: Tensor, level: Tensor) -> Tensor:
        return self.mix(z) * (1 + level / 1000)[:, None, None, None]


def on_bridge(bundle: Bundle, **values: Any) -> vcebench.Explanations:
    asked = {
        "method": "rcsb-c",
        "classifier": bundle.classifier.network,
        "bridge": (Direction(), Bridge(40)),
        "moves": 3,
        "batch_size": 2,
        **values,
    }
    return vcebench.explain(IMAGES, **asked)


def test_a_bridge_is_walked_on_inside_a_region_of_its_own(bundle: Bundle) -> None:
    found = on_bridge(bundle)
    assert (found.nfe == 3).all()
    assert (found.backward == 3).all()
    assert found.region is not None
    assert found.region.shape == (5, 1, 32, 32)
    outside = ~found.region.expand_as(IMAGES)
    assert torch.equal(found.counterfactuals[outside], IMAGES[outside])
    assert (found.region.float().mean(dim=(1, 2, 3)) <= 0.3).all()
    ready = on_bridge(bundle, bridge=BridgePrior(Direction(), Bridge(40)))
    assert ready.counterfactuals.shape == found.counterfactuals.shape


def test_a_region_can_be_given_to_methods_guided_in_pixels(bundle: Bundle) -> None:
    region = torch.zeros(5, 32, 32, dtype=torch.bool)
    region[:4, 4:20, 6:18] = True
    found = explain(bundle, region=region, class_unit=3000.0, guidance_scale=40.0)
    assert torch.equal(found.region, region[:, None])
    outside = ~region[:, None].expand_as(IMAGES)
    assert torch.equal(found.counterfactuals[outside], IMAGES[outside])
    assert not torch.equal(found.counterfactuals[0], IMAGES[0])
    assert torch.equal(found.counterfactuals[4], IMAGES[4])  # an empty region


def test_a_region_can_be_said_in_words(bundle: Bundle) -> None:
    found = explain(bundle, region="free-form:10-20")
    areas = found.region.float().mean(dim=(1, 2, 3))
    assert ((areas >= 0.1) & (areas <= 0.2)).all()
    assert explain(bundle, region="all").region.all()
    assert explain(bundle).region is None


def test_an_id_that_says_its_region_has_it_here_too(bundle: Bundle) -> None:
    areas = on_bridge(bundle, method="rcsb-freeform-10-20").region.float().mean(dim=(1, 2, 3))
    assert ((areas >= 0.1) & (areas <= 0.2)).all()
    with pytest.raises(vcebench.UserError, match="where that is in these images is not known"):
        on_bridge(bundle, method="rcsb-truth")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bridge": None}, "rcsb-c needs a bridge network, and there is none; give bridge=…"),
        ({"bridge": Direction()}, "the bridge has no schedule"),
        ({"bridge": (Direction(6), Bridge(40))}, "a bridge of images with 3 channels gives 3"),
        ({"method": "rcsb-freeform-10-20", "region": "all"}, "by definition of rcsb-freeform"),
        ({"region": torch.ones(5, 1, 32, 32)}, "region is torch.float32 of shape"),
        ({"region": torch.ones(4, 1, 32, 32, dtype=torch.bool)}, "give bool of shape"),
        ({"region": "part:mouth"}, "give a tensor"),
        ({"region": "cell"}, "is neither cells"),
        ({"precision": "bf16"}, "goes back through the network .* use precision exact or fast"),
    ],
)
def test_what_a_bridge_or_a_region_cannot_be(
    bundle: Bundle, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(vcebench.UserError, match=message) as error:
        on_bridge(bundle, **values)
    assert "\n" not in str(error.value)


def test_a_bridge_is_no_prior_and_pgd_keeps_to_no_region(bundle: Bundle) -> None:
    with pytest.raises(vcebench.UserError, match="give it as bridge=…"):
        explain(bundle, prior=BridgePrior(Direction(), Bridge(40)))
    with pytest.raises(vcebench.UserError, match="cannot be told where to change"):
        vcebench.explain(IMAGES, classifier=bundle.classifier.network, method="pgd", region="all")


def test_a_diffusers_network_is_a_prior(bundle: Bundle) -> None:
    diffusers = pytest.importorskip("diffusers")
    network = diffusers.UNet2DModel(
        sample_size=32,
        block_out_channels=(32,),
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        layers_per_block=1,
    )
    assert explain(bundle, prior=network).counterfactuals.shape == (5, 3, 32, 32)


def test_networks_are_left_as_they_were(bundle: Bundle) -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x).mean(dim=(2, 3))

    classifier = Normed().train()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    explain(bundle, classifier=classifier)
    assert classifier.training
    assert classifier.norm.training
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in classifier.parameters())


class Broken(nn.Linear):
    def __init__(self) -> None:
        super().__init__(1, 1)
        nn.init.constant_(self.weight, torch.nan)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"images": IMAGES.float()}, "float images reach from 0 to 255"),
        ({"images": IMAGES[0]}, r"give \(N, 3, H, W\)"),
        ({"images": IMAGES.long()}, "give uint8, or float"),
        ({"images": torch.full((1, 3, 8, 8), torch.nan)}, "NaN"),
        ({"lambda_perceptual": None}, "say lambda_perceptual=0"),
        ({"lambda_class": ()}, "lambda-class"),
        ({"prior": None}, "maskdime needs a prior network, and there is none; give prior=…"),
        ({"prior": nn.Conv2d(3, 3, 1)}, r"give \(network, schedule\)"),
        ({"classifier": Broken()}, "the classifier has NaN or infinity in weight"),
        ({"classifier": nn.Conv2d(3, 3, 3)}, "it must return logits"),
        ({"classifier": nn.Linear(5, 5)}, "the classifier fails on images"),
        ({"method": "mskdime"}, "did you mean 'maskdime'"),
        ({"top_k": 0.0}, "top-k is 0.0"),
        ({"shape": 3}, "no setting 'shape'"),
        ({"tau": 201}, "the prior's schedule has 200 steps"),
        ({"target": 10}, r"use classes 0 … 9"),
        ({"target": [1, 2]}, "give one class"),
        ({"ids": ["a"]}, "one id for each"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.0}, "batch_size is 2.0"),
        ({"threads": 0}, "threads is 0"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"precision": "float16"}, "precision is 'float16': .*'exact'"),
        ({"outputs": "scores"}, "outputs is 'scores'"),
        ({"value_range": (1, 0)}, "give \\(black, white\\)"),
        ({"images": IMAGES.float(), "value_range": (0, 1)}, "reach from 0 to 255"),
        ({"images": IMAGES.numpy()}, "give a torch tensor"),
        ({"classifier": Ending("sigmoid")}, "is there a sigmoid"),
        ({"classifier": lambda x: x}, "classifier is a function; give a torch.nn.Module"),
        ({"classifier": None}, "classifier is a NoneType"),
        ({"perceptual": "vgg19"}, "perceptual is a str"),
        ({"robust": 3}, "robust is a int"),
        ({"prior": (1, 2)}, r"give \(network, schedule\)"),
        ({"prior": (nn.Conv2d(3, 3, 1),)}, r"give \(network, schedule\)"),
        ({"method": 3}, "method is 3"),
        ({"target": "disc"}, "target is 'disc'; give class numbers"),
        ({"target": 1.0}, "target is torch.float32"),
        ({"target": True}, "target is torch.bool"),
        ({"lambda_class": 8.0}, "lambda_class is 8.0"),
        ({"lambda_class": ["8"]}, "lambda_class.0 is '8'"),
        ({"lambda_class": "8,10"}, "lambda_class is '8,10'"),
        ({"lambda_perceptual": "30"}, "lambda_perceptual is '30'"),
        ({"lambda_l1": True}, "lambda_l1 is True"),
        ({"use_logits": 1}, "use_logits is 1"),
        ({"class_unit": 0}, "class_unit is 0"),
        ({"perceptual_unit": float("nan")}, "perceptual_unit is nan"),
        ({"threads": True}, "threads is True"),
        ({"ids": "abc"}, "ids is 'abc'"),
        ({"ids": [1, 2, 3]}, "ids.0 is 1"),
        ({"value_range": (0,)}, "value_range"),
        ({"value_range": ("0", 1)}, "value_range.0 is '0'"),
        ({"tau": "60"}, "tau is '60'; use a whole number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_refusals_say_what_to_do(bundle: Bundle, values: dict[str, Any], message: str) -> None:
    with pytest.raises(vcebench.UserError, match=message) as error:
        explain(bundle, **values)
    assert "\n" not in str(error.value)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, vcebench, vcebench.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_results_show_themselves(bundle: Bundle) -> None:
    found = explain(bundle)
    assert torch.equal(found.images, IMAGES)
    frame = found.to_frame()
    assert len(frame) == 5
    assert {"flipped", "target", "nfe"} <= set(frame.columns)
    one = found[3]
    assert torch.equal(one.counterfactual, found.counterfactuals[3])
    assert one.facts["target"] == int(found.target[3])
    assert one.show().width > one.show().height / 2
    for thing in (found, one):
        assert thing._repr_png_().startswith(b"\x89PNG")
