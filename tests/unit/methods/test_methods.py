"""What every method promises: its cost, its settings, and independence of the batch."""

import dataclasses
from dataclasses import replace

import pytest
import torch
from tiny_latents import tiny_latents
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance, clamp
from vcebench.methods.core.method import Extras
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.sampler import Guided

TAU = 6
SHORT = {"tau": TAU, "moves": TAU, "iterations": 3, "filter_steps": 2, "step": 0.05}
SHORT |= {"chain": 20, "lengths": "2,3", "denoising_steps": 2, "tuning_steps": 2}
CODED = [
    name
    for name in registry.names()
    if registry.METHODS[name].factory.needs & {"autoencoder", "segments"}
]
LATENT = [
    name
    for name in registry.names()
    if registry.METHODS[name].factory.needs & {"latent-text", "latent-class"}
]
GUIDED = [
    name
    for name in registry.names()
    if issubclass(registry.METHODS[name].factory, Guided)
    and registry.METHODS[name].factory.regional
]


class Told:
    """A trace that remembers which steps it was told of."""

    keeps = True

    def __init__(self):
        self.steps = []

    def record(self, step, i, z, x_t, mask_z, mask_x):
        self.steps.append((step, i))


class Narrow(nn.Module):
    """A network without its variance."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z, t):
        return self.network(z, t)[:, :3]


class Blocks:
    """An autoencoder whose 12 codes are the means of a picture's four quarters."""

    regions = ("left", "right")

    def encode(self, x, segments=None):
        codes = nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)
        return (codes, codes) if segments is None else codes.view(-1, 2, 6)

    def decode(self, *given):
        return nn.functional.interpolate(given[-1].view(-1, 3, 2, 2), size=12).tanh()


def extras(name, rows=slice(None)):
    """What belongs to the images of the world, for methods that walk among codes."""
    if name not in CODED:
        return Extras()
    segments = torch.zeros(3, 12, 12, dtype=torch.uint8)[rows]
    fisher = torch.rand(12, 12, generator=torch.Generator().manual_seed(0))
    return Extras(segments=segments, autoencoder=Blocks(), fisher=fisher + fisher.T)


def walked(name, prior):
    """What a method walks on: the prior, or a bridge or a latent prior like it."""
    if name in LATENT:
        latent = tiny_latents()
        return latent if prior.observer is None else latent.observed(prior.observer)
    if "bridge" not in registry.METHODS[name].factory.needs:
        return prior
    bridge = BridgePrior(Narrow(prior.network), Bridge(40))
    return bridge if prior.observer is None else bridge.observed(prior.observer)


def short(name, **settings):
    """The method of an id with few steps."""
    allowed = registry.METHODS[name].parameters()
    few = {key: value for key, value in SHORT.items() if key in allowed}
    return registry.method(name, **few, **settings)


def explain(name, world, rows=slice(None), **settings):
    x, target, prior, guidance, noise = world
    ids = noise.image_ids[rows]
    source = 1 - target[rows] if name in LATENT else None
    return short(name, **settings).explain(
        x[rows],
        target[rows],
        prior=walked(name, prior),
        guidance=replace(guidance, lambda_class=guidance.lambda_class[rows], source=source),
        noise=KeyedNoise(noise.seed, noise.dataset, ids, noise.shape),
        extras=extras(name, rows),
    )


@pytest.mark.parametrize("name", registry.names())
def test_evaluations_of_the_prior(name, world):
    x, target, prior, guidance, noise = world
    calls: list[int] = []
    found = explain(name, (x, target, prior.observed(calls.append), guidance, noise))
    forward, backward = short(name).evaluations()
    nfe = found.nfe.tolist()
    if name in CODED:  # where a picture may be done before the last pass
        assert not calls
        assert found.backward.tolist() == nfe
        assert 0 < max(nfe) <= forward == backward
        return
    assert sum(calls) == 3 * max(nfe)
    assert found.backward.tolist() == [backward] * 3
    if name == "dime-early-stopping":
        assert TAU <= min(nfe) <= max(nfe) <= forward
    else:
        assert nfe == [forward] * 3


@pytest.mark.parametrize(("name", "forward"), [("dime", 1830), ("fastdime-2", 120), ("pgd", 0)])
def test_evaluations_follow_from_the_settings(name, forward):
    assert registry.method(name, tau=60).evaluations() == (forward, 0)


@pytest.mark.parametrize("name", registry.names())
def test_the_trace_is_told_of_every_step(name, world):
    x, target, prior, guidance, noise = world
    told = Told()
    method = short(name)
    on = walked(name, prior)
    guidance = replace(guidance, source=1 - target)
    more = {"extras": extras(name)}
    found = method.explain(x, target, prior=on, guidance=guidance, noise=noise, trace=told, **more)
    steps = [step for step, _ in told.steps]
    assert steps == list(range(len(steps)))
    if name in CODED:
        assert len(steps) == int(found.nfe.max()) // getattr(method, "explanations", 1)
        return
    assert len(steps) == method.steps
    assert told.steps[-1][1] == 0


@pytest.mark.parametrize("name", GUIDED)
def test_outside_a_region_a_guided_method_leaves_the_input_bit_for_bit(name, world):
    x, target, prior, guidance, noise = world
    region = torch.zeros(3, 1, 12, 12, dtype=torch.bool)
    region[:2, :, 3:8, 2:9] = True
    found = short(name).explain(
        x,
        target,
        prior=walked(name, prior),
        guidance=guidance,
        noise=noise,
        extras=Extras(region=region),
    )
    outside = ~region.expand_as(x)
    assert torch.equal(found.x_cf[outside], x[outside])
    assert not torch.equal(found.x_cf[0], x[0])
    assert torch.equal(found.x_cf[2], x[2])
    assert torch.equal(found.region, region)
    assert found.mask_z is None or not (found.mask_z & ~region).any()


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
        with pytest.raises(MethodError, match=f"tau is 51, .* 50 steps; use 1 … {longest}$"):
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


OF_ANOTHER_TYPE = {
    "int": ["60", True, 60.0, [60], None],
    "float": ["0.5", True, [0.5], None],
    "bool": [1, "true", None],
    "str": [1, None, True],
    "int | None": ["60", True, 60.5],
}
SETTINGS = {
    (field.name, field.type): name
    for name, entry in registry.METHODS.items()
    for field in dataclasses.fields(entry.factory)
    if field.name in entry.parameters()
}


@pytest.mark.parametrize(("setting", "kind"), SETTINGS, ids=[name for name, _ in SETTINGS])
def test_settings_of_another_type_are_refused(setting, kind):
    for value in OF_ANOTHER_TYPE[kind]:
        with pytest.raises(MethodError, match=f"^{setting.replace('_', '-')} is .*; use") as error:
            registry.method(SETTINGS[setting, kind], **{setting: value})
        assert repr(value) in str(error.value)
        assert "\n" not in str(error.value)


def test_whole_numbers_and_none_are_taken_where_they_fit():
    assert registry.method("maskdime", guidance_scale=8).guidance_scale == 8
    assert registry.method("fastdime", warm_up=None).warm_up is None


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
