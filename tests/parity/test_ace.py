"""Every golden run of the authors' ACE program, attack and refinement, with recorded noise."""

import json
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors import safe_open

from vcebench.methods.ace import ACE, ACEGradient, ACETanh
from vcebench.methods.core.descent import Descent, descend
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import Extras
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.sampler import reverse
from vcebench.methods.core.schedule import linear_schedule
from vcebench.methods.refinement import Refinement

CLOSE = {"atol": 1e-5, "rtol": 0}
ATTACKS = [
    "ace_l1",
    "ace_l2",
    "ace_l1_25steps",
    "ace_l1_bdd",
    "ace_deterministic",
    "ace_no_inpainting",
    "ace_epsilon_linear",
    "ace_step_schedule",
    "ace_multiclass",
    "ace_shared_noise",
    "ace_gradient_descent",
    "ace_cw",
    "ace_cw_multiclass",
]


def constant(step, count):
    return 1.0


def linear(step, count):
    return (step + 1) / count


def late(step, count):
    return 0.0 if step <= count // 2 else 1.0


WEIGHTS = {"none": constant, "linear": linear, "step": late}


@dataclass(frozen=True)
class Scheduled(ACE):
    """The program's weight of the distance that changes from step to step."""

    schedule: str = "none"

    def rule(self, state, gradient):
        weight = WEIGHTS[self.schedule](state.step, self.iterations)
        weighted = replace(
            self, distance_l1=weight * self.distance_l1, distance_l2=weight * self.distance_l2
        )
        return ACE.rule(weighted, state, gradient)


class Recorded:
    """The noise of a golden run under the names that our methods ask for."""

    def __init__(self, tensors, meta):
        self.shape, self.stochastic = tensors["x"].shape, meta["settings"]["sampling_stochastic"]
        self._known = {}
        for entry in meta["noise_draws"]:
            drawn, k = tensors[f"noise_{entry['draw']:03d}"], entry["outer_step"]
            if entry["purpose"] == "filter_all":  # one for all images of the batch
                self._known["filter-start", k, 0] = drawn[:1].expand(self.shape)
                for j in range(1, len(drawn)):
                    self._known["filter", k, j - 1] = drawn[j : j + 1].expand(self.shape)
                continue
            key = {
                "filter_start": ("filter-start", k, 0),
                "filter": ("filter", k, entry.get("inner_step", 0)),
                "refine_start": ("start", 0, 0),
                # What is put back before a step is what we put back at the end of the last one.
                "outside": ("outside", k - 1, 0),
                "posterior": ("posterior", k, 0),
            }[entry["purpose"]]
            self._known[key] = drawn

    def draw(self, purpose, step, inner_step=0, pass_index=0):
        if not self.stochastic:
            return torch.zeros(self.shape)
        return self._known[purpose, step, inner_step]


class Run:
    """A golden run: tensors, settings, noise, and the method it is."""

    def __init__(self, golden, load, name):
        self.tensors = load(f"ace/{name}")
        with safe_open(golden / "ace" / f"{name}.safetensors", "pt") as file:
            self.meta = json.loads(file.metadata()["meta"])
        self.settings = self.meta["settings"]
        self.noise = Recorded(self.tensors, self.meta)
        self.x = 2 * self["x"] - 1
        self.target = self["target"].long()
        # The program averages the class loss over the batch, except in the attack with tanh.
        self.batch = 1 if self.settings["attack"] == "CW" else len(self.x)

    def __getitem__(self, name):
        return self.tensors[name]

    def method(self):
        s = self.settings
        factory = {"PGD": Scheduled, "GD": ACEGradient, "CW": ACETanh, "None": ACE}[s["attack"]]
        none = s["attack"] == "None"
        given = {
            "iterations": 0 if none else s["attack_iterations"],
            "step": s["attack_step"] / (self.batch if s["attack"] == "GD" else 1),
            "distance_l1": s["dist_l1"] * self.batch,
            "distance_l2": s["dist_l2"] * self.batch,
            "filter_steps": s["steps"],
            "respacing": int(s["timestep_respacing"]),
            # Nothing attacked is 0/0 there, which filters the whole image.
            "threshold": 0.0 if none else s["sampling_inpaint"],
            "dilation": s["sampling_dilation"],
        }
        if factory is Scheduled:
            given |= {"schedule": s["dist_schedule"]}
        if s["attack"] != "CW":
            given |= {"epsilon": s["attack_epsilon"]}
        return factory(**given)

    def prior(self, network):
        s = self.settings
        return Prior(network, linear_schedule(s["base_steps"], int(s["timestep_respacing"])))


class Steps:
    keeps = True

    def __init__(self):
        self.z, self.numbers = [], []

    def record(self, step, i, z, x_t, mask_z, mask_x):
        self.numbers.append(step)
        self.z.append(z.clone())


@pytest.fixture
def golden(request, golden_file, golden_unet, golden_classifiers):
    """The run of that name, its prior (in another spacing) and its guidance."""
    run = Run(request.path.parent / "golden", golden_file, request.param)
    classifier = golden_classifiers[run.settings["binary"]]
    guidance = Guidance(classifier, torch.ones(len(run.x)), lambda_perceptual=0)
    return run, run.prior(golden_unet), guidance


def explained(run, prior, guidance):
    steps = Steps()
    found = run.method().explain(
        run.x,
        run.target,
        prior=prior.respaced(200),  # the method has a spacing of its own
        guidance=guidance,
        noise=run.noise,
        trace=steps,
    )
    return found, steps


@pytest.mark.parametrize("golden", ATTACKS, indirect=True)
def test_the_whole_run(golden):
    run, prior, guidance = golden
    method = run.method()
    found, steps = explained(run, prior, guidance)
    drafts = torch.stack([method.image(z) for z in steps.z[: method.passes]])
    recorded = run["x_adv_steps"][: method.passes]
    torch.testing.assert_close(drafts, recorded, **CLOSE)
    if run.settings["attack"] == "PGD":
        # A sign moves a value by ±α or leaves it: equal directions are equal signs.
        before = recorded[:-1]
        assert torch.equal((drafts[1:] - before).sign(), (recorded[1:] - before).sign())
    torch.testing.assert_close(
        torch.stack(steps.z[method.passes :]), run["refine_z_steps"], **CLOSE
    )
    torch.testing.assert_close((found.x_cf / 2 + 0.5).clamp(0, 1), run["output"], **CLOSE)
    if run.settings["sampling_inpaint"]:
        assert torch.equal((~found.mask_z).to(torch.uint8), run["keep_mask"])
    assert steps.numbers == list(range(method.steps))
    forward, backward = method.evaluations()
    assert (found.nfe.tolist(), found.backward.tolist()) == (
        [forward] * len(run.x),
        [backward] * len(run.x),
    )


@pytest.mark.parametrize("golden", ATTACKS, indirect=True)
def test_the_pre_explanation(golden):
    run, prior, guidance = golden
    method = run.method()
    state = Descent(prior, guidance.bind(run.x, run.target), run.noise)
    descend(method, state)
    torch.testing.assert_close(method.image(state.v), run["pre_explanation"], **CLOSE)


@pytest.mark.parametrize("golden", ATTACKS, indirect=True)
def test_gradients_at_the_recorded_images(golden):
    run, prior, guidance = golden
    method = run.method()
    state = Descent(prior, guidance.bind(run.x, run.target), run.noise)
    for state.step, image in enumerate(run["x_adv_steps"]):
        with torch.enable_grad():
            at = image.clone().requires_grad_()
            loss = method.loss(state, method.filtered(state, at))
            (gradient,) = torch.autograd.grad(loss.sum(), at)
        torch.testing.assert_close(
            gradient / run.batch, run["class_grad_steps"][state.step], **CLOSE
        )


@pytest.mark.parametrize("golden", ["ace_l1", "ace_l2", "ace_deterministic"], indirect=True)
def test_the_pull_of_the_distance(golden):
    run, prior, guidance = golden
    state = Descent(prior, guidance.bind(run.x, run.target), run.noise)
    for image, expected in zip(run["x_adv_steps"], run["dist_grad_steps"], strict=True):
        ours = run.method().pull(state, image - run["x"]) / run.batch
        torch.testing.assert_close(ours, expected, **CLOSE)


@pytest.mark.parametrize("golden", ATTACKS, indirect=True)
def test_the_refinement_alone(golden):
    run, prior, guidance = golden
    method = run.method()
    region = method.edited(run["pre_explanation"], run["x"])
    if region is not None:
        assert torch.equal((~region).to(torch.uint8), run["keep_mask"])
    refined = reverse(
        Refinement(method.filter_steps, draft=run["pre_explanation"]),
        prior,
        guidance.bind(run.x, run.target),
        run.noise,
        extras=Extras(region=region),
    )
    torch.testing.assert_close((refined.x_cf / 2 + 0.5).clamp(0, 1), run["output"], **CLOSE)
    if region is not None:
        kept = ~region.expand_as(run.x)
        assert torch.equal(refined.x_cf[kept], run.x[kept])


@pytest.mark.parametrize("golden", ["ace_none"], indirect=True)
def test_without_an_attack_the_input_is_filtered(golden):
    run, prior, guidance = golden
    found, _ = explained(run, prior, guidance)
    torch.testing.assert_close((found.x_cf / 2 + 0.5).clamp(0, 1), run["output"], **CLOSE)


def test_the_gradient_of_the_whole_graph(golden_file, golden_unet, golden_classifiers, request):
    tensors = golden_file("ace/ace_gradients")
    with safe_open(request.path.parent / "golden/ace/ace_gradients.safetensors", "pt") as file:
        settings = json.loads(file.metadata()["meta"])["settings"]
    x = 2 * tensors["x"] - 1
    noise = tensors["noise"]

    class Shared:
        def draw(self, purpose, step, inner_step=0, pass_index=0):
            n = 0 if purpose == "filter-start" else inner_step + 1
            return noise[n : n + 1].expand(x.shape)

    respacing = int(settings["timestep_respacing"])
    prior = Prior(golden_unet, linear_schedule(settings["base_steps"], respacing))
    guidance = Guidance(golden_classifiers[True], torch.ones(len(x)), lambda_perceptual=0)
    method = ACE(filter_steps=settings["steps"], respacing=respacing)
    state = Descent(prior, guidance.bind(x, tensors["target"].long()), Shared())
    with torch.enable_grad():
        at = tensors["x"].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(method.loss(state, method.filtered(state, at)).sum(), at)
    torch.testing.assert_close(gradient / len(x), tensors["whole_graph_grad"], **CLOSE)
