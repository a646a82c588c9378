"""ACE beyond the authors' vectors: what it refuses, what stays as it is, and what it reads."""

import pytest
import torch

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance

FEW = {"iterations": 4, "step": 0.1, "filter_steps": 3, "respacing": 25}


def explain(world, name="ace-l1", guidance=None, **settings):
    x, target, prior, given, noise = world
    method = registry.method(name, **{**FEW, **settings})
    return method.explain(x, target, prior=prior, guidance=guidance or given, noise=noise)


def test_outside_its_mask_the_input_stays_bit_for_bit(world):
    found, x = explain(world, threshold=0.9, dilation=1), world[0]
    outside = ~found.mask_z.expand_as(x)
    assert outside.any()
    assert not outside.all()
    assert torch.equal(found.x_cf[outside], x[outside])


def test_the_attack_raises_the_probability_of_the_target(world):
    x, target, _, guidance, _ = world
    attacked = explain(world, "ace-l1-pre", distance_l1=0.0).x_cf
    before, after = (guidance.classifier.log_prob(image, target) for image in (x, attacked))
    assert (after > before).all()


def test_an_image_that_the_attack_leaves_alone_is_its_own_counterfactual(world):
    found, x = explain(world, iterations=0), world[0]
    assert torch.equal(found.x_cf, x)
    assert not found.mask_z.any()


def test_the_change_stays_within_epsilon(world):
    found, x = explain(world, "ace-l1-pre", epsilon=0.02), world[0]
    assert (found.x_cf - x).abs().max() <= 2 * 0.02 + 1e-6


def test_weights_and_units_of_the_joint_loss_are_not_read(world):
    guidance = world[3]
    other = Guidance(
        guidance.classifier,
        torch.full((3,), 99.0),
        lambda_perceptual=0,
        class_unit=7.0,
        use_logits=False,
    )
    assert torch.equal(explain(world).x_cf, explain(world, guidance=other).x_cf)
    assert registry.method("ace-l1").rungs((8.0, 10.0)) == ({},)


def test_the_two_distances_exclude_each_other():
    with pytest.raises(MethodError, match=r"distance_l2 is 0.0 by definition of ace-l1"):
        registry.method("ace-l1", distance_l2=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filter_steps": 26}, "filter-steps is 26, but 25 steps are kept"),
        ({"respacing": 501}, "respacing is 501, but the prior was trained on 500 steps"),
    ],
)
def test_more_steps_than_there_are_is_refused(world, settings, message):
    with pytest.raises(MethodError, match=message):
        explain(world, **settings)


def test_costs_are_those_of_the_published_settings():
    assert registry.method("ace-l1").evaluations() == (255, 250)
    assert registry.method("ace-l2-pre", iterations=100).evaluations() == (500, 500)
    assert registry.method("ace-filter").evaluations() == (5, 0)
