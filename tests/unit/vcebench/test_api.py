"""The Python interface, on classifiers and priors of other people."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vcebench
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


def test_network_and_schedule_make_a_prior(bundle: Bundle) -> None:
    found = explain(bundle, prior=(bundle.prior.network, linear_schedule(500, 200)))
    assert torch.equal(found.counterfactuals, explain(bundle).counterfactuals)


def test_a_method_without_a_prior_is_given_none(bundle: Bundle) -> None:
    found = vcebench.explain(IMAGES, classifier=bundle.classifier.network, method="pgd")
    with_all = explain(bundle, method="pgd", tau=40, batch_size=16, lambda_perceptual=None)
    assert torch.equal(found.counterfactuals, with_all.counterfactuals)
    assert (found.nfe == 0).all()
    assert (found.backward == 0).all()


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
        ({"classifier": nn.Linear(5, 5)}, "the classifier fails on an image"),
        ({"method": "mskdime"}, "did you mean 'maskdime'"),
        ({"top_k": 0.0}, "top-k is 0.0"),
        ({"shape": 3}, "no setting 'shape'"),
        ({"tau": 201}, "the prior's schedule has 200 steps"),
        ({"target": 10}, r"use classes 0 … 9"),
        ({"target": [1, 2]}, "give one class"),
        ({"ids": ["a"]}, "one id for each"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
    ids=[f"refusal{i}" for i in range(19)],
)
def test_refusals_say_what_to_do(bundle: Bundle, values: dict[str, Any], message: str) -> None:
    with pytest.raises(vcebench.UserError, match=message) as error:
        explain(bundle, **values)
    assert "\n" not in str(error.value)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, vcebench, vcebench.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
