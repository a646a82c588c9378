"""Every golden run, step by step, through the one guided reverse loop with recorded noise."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from vcebench.methods import registry
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.sampler import Gradient
from vcebench.methods.fastdime import FastDiME, GivenMask
from vcebench.methods.maskdime import ReleasedMaskDiME

CLOSE = {"atol": 1e-5, "rtol": 0}

DIME = {"dime": "dime-deterministic", "dime_inner_sampling": "dime"}
FASTDIME = ["fastdime", "fastdime_scaled_grads", "fastdime_boolmask"]
MASKDIME = [
    "maskdime",
    "maskdime_rho1",
    "maskdime_argparse_defaults",
    "maskdime_fixedmask",
    "maskdime_nomask_s1",
    "maskdime_nomask_s8",
]
MASKING = {
    "maskdime_fixedmask": "first-step",
    "maskdime_nomask_s1": "none",
    "maskdime_nomask_s8": "none",
}


@dataclass
class Steps:
    """Keeps what the loop tells its trace."""

    keeps = True

    z: list[Tensor] = field(default_factory=list)
    x_t: list[Tensor] = field(default_factory=list)
    mask_z: list[Tensor | None] = field(default_factory=list)
    mask_x: list[Tensor | None] = field(default_factory=list)

    def record(self, step, i, z, x_t, mask_z, mask_x):
        self.z.append(z.clone())
        self.x_t.append(x_t.clone())
        self.mask_z.append(mask_z)
        self.mask_x.append(mask_x)


@dataclass(frozen=True)
class ArgparseDefaults(ReleasedMaskDiME):
    """What the program does unless told otherwise, and no published number used.

    Masks have a channel each, and the class gradient that guides is clamped to its mean ± `sigmas`
    deviations over the whole batch.
    """

    sigmas: float = 3.0

    def magnitude(self, class_gradient):
        return class_gradient.abs()

    def gradient(self, state):
        total, class_ = super().gradient(state)
        mean, far = class_.mean(), self.sigmas * class_.std()
        clamped = class_.clamp(mean - far, mean + far)
        return Gradient(total + self.guidance_scale * (clamped - class_), class_)


def released_maskdime(run, name):
    settings = run.settings
    asked = {
        "tau": settings["tau"],
        "guidance_scale": settings["grad_scale"],
        "top_k": settings["topk_ratio"],
        "rho": settings["x_t_rate"],
        "dilation": settings["blur_kernel"],
        "masking": MASKING.get(name, "every-step"),
    }
    assert settings["per_channel"] == settings["grads_clip"]
    if settings["grads_clip"]:
        return ArgparseDefaults(**asked, sigmas=settings["clip_sigma"])
    return registry.method("maskdime-released", **asked)


def fastdime(run):
    settings = {key: run.settings[key] for key in ("tau", "dilation", "scale_grads")}
    settings["threshold"] = run.settings["masking_threshold"]
    if "boolmask" in run.tensors:
        return GivenMask(**settings, mask=run["boolmask"] == 0)
    return registry.method("fastdime", **settings, warm_up=run.settings["warmup_step"])


@pytest.fixture
def replay(golden_prior, golden_classifier, golden_perceptual):
    def play(method, run):
        guidance = Guidance(
            golden_classifier,
            torch.full((len(run["x"]),), run.settings["classifier_scale"]),
            golden_perceptual,
            lambda_perceptual=run.settings["l_perc"],
            lambda_l1=run.settings["l1_loss"],
            use_logits=run.settings["use_logits"],
        )
        steps = Steps()
        result = method.explain(
            run["x"], run["target"], prior=golden_prior, guidance=guidance, noise=run, trace=steps
        )
        assert result.nfe.tolist() == [run.counts["unet_forwards"]] * len(run["x"])
        assert result.x_cf.dtype == torch.float32
        return result, steps

    return play


def assert_z_steps(run, steps):
    torch.testing.assert_close(torch.stack(steps.z), run["z_t_steps"], **CLOSE)
    torch.testing.assert_close(steps.z[0], run["z_tau"], **CLOSE)


@pytest.mark.parametrize("name", DIME)
def test_dime(name, replay, golden_run):
    run = golden_run(name)
    result, steps = replay(registry.method(DIME[name], tau=run.settings["tau"]), run)
    assert_z_steps(run, steps)
    torch.testing.assert_close(torch.stack(steps.x_t), run["x_t_steps"], **CLOSE)
    torch.testing.assert_close(result.x_cf, run["output"], **CLOSE)


@pytest.mark.parametrize("name", FASTDIME)
def test_fastdime(name, replay, golden_run):
    run = golden_run(name)
    result, steps = replay(fastdime(run), run)
    assert_z_steps(run, steps)
    torch.testing.assert_close(torch.stack(steps.x_t), run["x_t_steps"], **CLOSE)
    torch.testing.assert_close(result.x_cf, run["output"], **CLOSE)
    if "keep_mask_steps" in run.tensors:
        keep = torch.stack([~m for m in steps.mask_z if m is not None])
        assert torch.equal(keep.to(torch.uint8), run["keep_mask_steps"])


def test_fastdime_2_second_pass_mask_comes_from_the_first_pass_output(golden_run):
    run = golden_run("fastdime_boolmask")
    method = FastDiME(
        threshold=run.settings["masking_threshold"], dilation=run.settings["dilation"]
    )
    edit = method.difference(run["first_pass_output"], run["x"])
    assert torch.equal((~edit).to(torch.uint8), run["boolmask"])


@pytest.mark.parametrize("name", MASKDIME)
def test_maskdime(name, replay, golden_run):
    run = golden_run(name)
    result, steps = replay(released_maskdime(run, name), run)
    assert_z_steps(run, steps)
    # The released stack holds x_t before a step uses it: one place later than the trace.
    before = torch.stack([run["x"], *steps.x_t[:-1]])
    torch.testing.assert_close(before, run["x_t_steps"], **CLOSE)
    torch.testing.assert_close(result.x_cf, run["output"], **CLOSE)
    for key, masks in {"mask_z_steps": steps.mask_z, "mask_x_steps": steps.mask_x}.items():
        if key in run.tensors:
            ours = torch.stack(masks[: len(run[key])]).to(torch.uint8)
            assert torch.equal(ours, run[key])


def test_maskdime_with_clipped_estimates_follows_the_authors_derivative(replay, golden_run):
    run = golden_run("maskdime_clipping")
    result, _ = replay(released_maskdime(run, "maskdime_clipping"), run)
    torch.testing.assert_close(result.x_cf, run["output_boundary_pass"], **CLOSE)
    assert (run["output_boundary_pass"] - run["output"]).abs().max() > 1e-3


@pytest.mark.parametrize("name", [*DIME, *FASTDIME, *MASKDIME])
def test_gradients_at_the_probe(name, golden_run, golden_classifier, golden_perceptual):
    run = golden_run(name)
    settings = run.settings
    guidance = Guidance(
        golden_classifier,
        torch.full((len(run["x"]),), settings["classifier_scale"]),
        golden_perceptual,
        lambda_perceptual=settings["l_perc"],
        lambda_l1=settings["l1_loss"],
        use_logits=settings["use_logits"],
    ).bind(run["x"], run["target"])
    divisor = 1.0
    if settings.get("scale_grads", True):
        from vcebench.methods.core.schedule import linear_schedule

        divisor = linear_schedule(500, 200).sqrt_alpha_bar(run.counts["probe_t_index"])
    class_gradient = guidance.class_gradient(run["probe_x_t"])
    distance = guidance.l1_gradient(run["probe_z_t"])
    distance = distance + guidance.perceptual_gradient(run["probe_x_t"]) / divisor
    torch.testing.assert_close(class_gradient, run["probe_class_grad"], **CLOSE)
    torch.testing.assert_close(distance, run["probe_dist_grad"], **CLOSE)
