"""What every method promises: its cost, its settings, and independence of the batch."""

import pytest
import torch

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance, clamp
from vcebench.methods.core.noise import KeyedNoise

TAU = 6
COST = {
    "dime": TAU * (TAU + 1) // 2,
    "dime-deterministic": TAU * (TAU + 1) // 2,
    "dime-direct": TAU,
    "dime-naive": TAU,
    "dime-unconditional": TAU,
    "fastdime": TAU,
    "fastdime-2": 2 * TAU,
    "fastdime-2plus": 2 * TAU,
    "pgd": 0,
}


def explain(name, world, rows=slice(None), **settings):
    x, target, prior, guidance, noise = world
    ids = noise.image_ids[rows]
    return registry.method(name, tau=TAU, **settings).explain(
        x[rows],
        target[rows],
        prior=prior,
        guidance=Guidance(guidance.classifier, guidance.lambda_class[rows], guidance.perceptual),
        noise=KeyedNoise(noise.seed, noise.dataset, ids, noise.shape),
    )


@pytest.mark.parametrize("name", registry.names())
def test_evaluations_of_the_prior(name, world):
    prior, calls = world[2], []
    prior.network.register_forward_hook(lambda *_: calls.append(1))
    nfe = explain(name, world).nfe.tolist()
    if name == "dime-early-stopping":
        assert TAU <= min(nfe) <= max(nfe) == len(calls) <= TAU * (TAU + 1) // 2
    else:
        assert nfe == [COST.get(name, TAU)] * 3
        assert len(calls) == nfe[0]


@pytest.mark.parametrize("name", registry.names())
def test_an_image_does_not_depend_on_its_batch(name, world):
    whole, alone = explain(name, world), explain(name, world, slice(1, 2))
    torch.testing.assert_close(whole.x_cf[1:2], alone.x_cf, atol=1e-5, rtol=0)
    assert whole.nfe[1] == alone.nfe[0]


@pytest.mark.parametrize("name", registry.names())
def test_a_method_ends_in_finite_float32(name, world):
    result = explain(name, world)
    assert result.x_cf.dtype == torch.float32
    assert torch.isfinite(result.x_cf).all()


def test_early_stopping_stops_guiding_a_flipped_image(world):
    """With a strong class term x_t flips at once; from then on nothing is evaluated for it."""
    x, target, prior, guidance, noise = world
    strong = Guidance(guidance.classifier, torch.full((3,), 1e4), guidance.perceptual)
    result = registry.method("dime-early-stopping", tau=TAU).explain(
        x, target, prior=prior, guidance=strong, noise=noise
    )
    assert result.nfe.max() < TAU * (TAU + 1) // 2


def test_unconditional_ignores_the_classifier(world):
    x, target, prior, guidance, noise = world
    method = registry.method("dime-unconditional", tau=TAU)
    one = method.explain(x, target, prior=prior, guidance=guidance, noise=noise)
    two = method.explain(x, 1 - target, prior=prior, guidance=guidance, noise=noise)
    assert torch.equal(one.x_cf, two.x_cf)


def test_two_passes_edit_only_inside_the_first_pass_difference(world):
    result, x = explain("fastdime-2", world), world[0]
    outside = ~result.mask_z.expand_as(x)
    assert torch.equal(result.x_cf[outside], x[outside])


def test_longest_tau_is_named(world):
    x, target, prior, guidance, noise = world
    for name, longest in {"maskdime": 50, "maskdime-released": 49, "dime-direct": 49}.items():
        method = registry.method(name, tau=51)
        with pytest.raises(MethodError, match=f"beyond .* 50 steps; use 1 … {longest}$"):
            method.explain(x, target, prior=prior, guidance=guidance, noise=noise)


def test_unknown_method_names_the_nearest():
    with pytest.raises(MethodError, match="unknown method 'mskdime'; did you mean 'maskdime'"):
        registry.method("mskdime")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 0.0}, r"top-k is 0.0; use a number in \(0, 1\]"),
        ({"rho": 1.5}, r"rho is 1.5; use a number in \(0, 1\]"),
        ({"tau": 0}, "tau is 0; use a whole number from 1 on"),
        ({"tau": 2.5}, "tau is 2.5; use a whole number"),
        ({"dilation": 4}, "dilation is 4; use an odd whole number"),
        ({"guidance_scale": float("nan")}, "guidance-scale is nan; use a number above 0"),
        ({"masking": "evry-step"}, "did you mean 'every-step'"),
        ({"warm_up": 3}, "maskdime has no setting 'warm_up'; it has tau, guidance_scale"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message):
    with pytest.raises(MethodError, match=message):
        registry.method("maskdime", **settings)


def test_what_defines_a_method_cannot_be_changed():
    with pytest.raises(MethodError, match="by definition of maskdime-rho1"):
        registry.method("maskdime-rho1", rho=0.5)


def test_published_ids_are_registered():
    published = {"maskdime-wo-s", "maskdime-wo-mask", "no-mask-s1", "no-mask-s8", "fixed-mask"}
    assert published | {"maskdime-k0.025", "maskdime-k0.1"} <= set(registry.names())


@pytest.mark.parametrize("name", registry.names())
def test_every_entry_has_reference_and_help(name):
    entry = registry.METHODS[name]
    assert "20" in entry.reference
    assert entry.summary
    assert all(p["help"] for p in entry.parameters().values())
    assert set(registry.method(name).settings()) >= set(entry.parameters())


def test_perceptual_weight_without_a_network_must_be_zero(world):
    guidance = world[3]
    with pytest.raises(MethodError, match="lambda_perceptual=0"):
        Guidance(guidance.classifier, guidance.lambda_class)


def test_clamp_passes_gradients_on_the_boundary_only():
    x = torch.tensor([-1.5, -1.0, 0.5, 1.0, 1.5], requires_grad=True)
    clamp(x).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    assert clamp(x).tolist() == [-1.0, -1.0, 0.5, 1.0, 1.0]
