"""RCSB, move by move: its authors' code, and a reference of the paper's equations."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import Extras
from vcebench.methods.rcsb import (
    RCSB,
    Inpainting,
    RCSBAdam,
    RCSBNaive,
    RCSBTweedie,
    ReleasedRCSB,
    stretched,
)

GOLDEN = Path(__file__).parent / "golden" / "rcsb"
CLOSE = {"atol": 1e-5, "rtol": 0}


def meta(name):
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        return json.loads(file.metadata()["meta"])


@dataclass
class Fill:
    """Recorded noise: the fill of the region, and nothing else is drawn."""

    noise: Tensor

    def draw(self, purpose, step, inner_step=0, pass_index=0, shape=None):
        assert (purpose, step, inner_step, pass_index, shape) == ("fill", 0, 0, 0, None)
        return self.noise


@dataclass
class Steps:
    """Keeps where the walk stood at the beginning of every move."""

    keeps = True

    z: list[Tensor] = field(default_factory=list)

    def record(self, step, i, z, x_t, mask_z, mask_x):
        assert not z.requires_grad
        self.z.append(z.clone())


class AsReleased:
    """The classifier's view of the released code, for the steps of the ladder."""

    def shown(self, x):
        return stretched(x)


@dataclass(frozen=True)
class ReleasedNaive(AsReleased, RCSBNaive):
    pass


@dataclass(frozen=True)
class ReleasedTweedie(AsReleased, RCSBTweedie):
    def estimate(self, state, posterior):
        return posterior.x0


@dataclass(frozen=True)
class ReleasedAdam(AsReleased, RCSBAdam):
    def estimate(self, state, posterior):
        return posterior.x0


@dataclass(frozen=True)
class ReleasedAdaptive(ReleasedTweedie):
    """No moments, the first gradient's norm, and a scale linear in the index: nobody's method."""

    steps_of_scale: Any = None

    def direction(self, state, ascent):
        if state.memory is None:
            state.memory = torch.linalg.vector_norm(ascent, dim=(1, 2, 3), keepdim=True)
        index = state.prior.bridge.kept[state.i + 1]
        return self.steps_of_scale(index) * ascent / state.memory


def linear(start, end, total):
    """The released schedule "linear" of the guidance scale, by the index moved from."""
    return lambda n: start + (end - start) * (1 - n / total)


METHODS = {
    "rcsb": ReleasedRCSB,
    "rcsb_binary": ReleasedRCSB,
    "rcsb_full": ReleasedRCSB,
    "rcsb_naive": ReleasedNaive,
    "rcsb_tweedie": ReleasedTweedie,
    "rcsb_adam": ReleasedAdam,
    "rcsb_adaptive": ReleasedAdaptive,
}


def method_of(name, settings):
    interval, start = settings["interval"], settings["start_step"]
    chosen = {"moves": settings["nfe"], "truncation": (start or interval) / interval}
    scale = settings["scale"]
    if scale["kind"] == "linear":
        steps = linear(scale["start"], scale["end"], start)
        return METHODS[name](**chosen, scale=1.0, steps_of_scale=steps)
    return METHODS[name](**chosen, scale=scale["value"])


@torch.no_grad()  # as the harness calls methods
def walked(method, bridge_network, interval, classifier, run, prefix="", fill=1):
    steps = Steps()
    x, target = run[f"{prefix}x"], run["target"] if not prefix else run[f"{prefix}target"]
    guidance = Guidance(classifier, torch.ones(len(x)), lambda_perceptual=0)
    region = run[f"{prefix}region"].bool().view(len(x), 1, *x.shape[2:])
    found = method.explain(
        x,
        target,
        prior=BridgePrior(bridge_network, Bridge(interval)),
        guidance=guidance,
        noise=Fill(run[f"noise_{fill:03d}"]),
        trace=steps,
        extras=Extras(region=region),
    )
    return found, torch.stack(steps.z)


@pytest.mark.parametrize("name", METHODS)
def test_released_walks(golden_bridge, pair, five, golden_file, name):
    run, settings = golden_file(f"rcsb/{name}"), meta(name)["settings"]
    classifier = five if settings["task"] == "multiclass" else pair
    method = method_of(name, settings)
    found, z = walked(method, golden_bridge, settings["interval"], classifier, run)
    torch.testing.assert_close(z, run["z_steps"], **CLOSE)
    torch.testing.assert_close(found.x_cf, run["z_end"], **CLOSE)
    torch.testing.assert_close(found.x_cf.clamp(-1, 1), run["output"], **CLOSE)
    assert found.nfe.tolist() == [settings["nfe"]] * 2
    assert found.backward.tolist() == [method.evaluations()[1]] * 2


def test_a_second_call_starts_afresh(golden_bridge, five, golden_file):
    run, settings = golden_file("rcsb/rcsb"), meta("rcsb")["settings"]
    method = method_of("rcsb", settings)
    found, z = walked(method, golden_bridge, settings["interval"], five, run, "second_", fill=3)
    torch.testing.assert_close(z, run["second_z_steps"], **CLOSE)
    torch.testing.assert_close(found.x_cf, run["second_z_end"], **CLOSE)


def test_the_whole_pipeline_with_its_region(golden_bridge, five, golden_file):
    """Cells of 4, area 0.3, of integrated gradients of the predicted class."""
    run, settings = golden_file("rcsb/rcsb"), meta("rcsb")["settings"]
    method = method_of("rcsb", settings)
    found = method.explain(
        run["x"],
        run["target"],
        prior=BridgePrior(golden_bridge, Bridge(settings["interval"])),
        guidance=Guidance(five, torch.ones(2), lambda_perceptual=0),
        noise=Fill(run["noise_001"]),
    )
    assert torch.equal(found.region[:, 0], run["region"].bool())
    torch.testing.assert_close(found.x_cf, run["z_end"], **CLOSE)


def test_reference_of_the_papers_equations_not_the_authors_code(golden_bridge, five, golden_file):
    run, settings = golden_file("rcsb/reference_rcsb_paper"), meta("reference_rcsb_paper")
    chosen = settings["settings"]
    interval = chosen["interval"]
    method = RCSB(
        moves=chosen["nfe"],
        truncation=chosen["start_step"] / interval,
        scale=chosen["guidance_scale"],
    )
    found, z = walked(method, golden_bridge, interval, five, run, fill=0)
    close = {"atol": 1e-5 * float(run["z_steps"].abs().max()), "rtol": 0}
    torch.testing.assert_close(z, run["z_steps"], **close)
    torch.testing.assert_close(found.x_cf, run["output"], **close)


def test_the_unguided_bridge(golden_bridge, golden_file):
    run, facts = golden_file("rcsb/i2sb_plain"), meta("i2sb_plain")
    run |= {"target": torch.zeros(2, dtype=torch.int64), "noise_001": run["ode_noise_000"]}
    method = Inpainting(moves=facts["nfe"], truncation=1.0)
    found, z = walked(method, golden_bridge, facts["interval"], None, run)
    after = torch.cat([z[1:], found.x_cf[None]])
    torch.testing.assert_close(after, run["ode_z_steps"], **CLOSE)


@pytest.mark.parametrize(
    "case", ["some_negative", "all_nonnegative", "mixed_batch", "out_of_range"]
)
def test_what_the_classifier_is_shown(five, golden_file, case):
    run = golden_file("rcsb/guidance_probes")
    estimate = run[f"{case}_estimate"].requires_grad_()
    shown = stretched(estimate)
    value = five.log_prob(shown, torch.tensor([2, 4]))
    (gradient,) = torch.autograd.grad(value.sum(), estimate)
    torch.testing.assert_close((shown.detach() + 1) / 2, run[f"{case}_classifier_input"], **CLOSE)
    torch.testing.assert_close(value.detach(), run[f"{case}_log_prob"], **CLOSE)
    largest = float(run[f"{case}_gradient"].abs().max())
    torch.testing.assert_close(gradient, run[f"{case}_gradient"], atol=1e-5 * largest, rtol=0)
