"""Schedules, posteriors and noising against the released diffusion code."""

import numpy as np
import pytest
import torch
from torch import nn

from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule

SCHEDULES = {
    "linear_500_200": (500, 200),
    "linear_1000_100": (1000, 100),
    "linear_1000_250": (1000, 250),
    "linear_500_full": (500, None),
    "linear_500_25": (500, 25),
    "linear_500_50": (500, 50),
    "linear_1000_25": (1000, 25),
}
WITH_POSTERIORS = ["linear_500_200", "linear_1000_100", "linear_1000_250", "linear_500_full"]
ARRAYS = [
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
]


@pytest.mark.parametrize("name", SCHEDULES)
def test_coefficients(name, golden_file):
    golden, schedule = golden_file(f"schedules/{name}"), linear_schedule(*SCHEDULES[name])
    np.testing.assert_array_equal(schedule.timestep_map, golden["timestep_map"].numpy())
    for array in ARRAYS:
        ours = getattr(schedule, array)
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, golden[array].numpy(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("name", WITH_POSTERIORS)
def test_posterior(name, clip, golden_file):
    golden, suffix = golden_file(f"schedules/{name}"), "" if clip else "_noclip"
    prior = Prior(nn.Identity(), linear_schedule(*SCHEDULES[name]))
    for b, i in enumerate(golden["pmv_t"].tolist()):
        ours = prior.from_output(
            golden["pmv_x"][b : b + 1], i, golden["pmv_model_output"][b : b + 1], clip
        )
        pairs = {"mean": ours.mean, "pred_xstart": ours.x0}
        if clip:
            pairs |= {"variance": ours.variance, "log_variance": ours.log_variance}
        for key, value in pairs.items():
            theirs = golden[f"pmv_{key}{suffix}"][b]
            torch.testing.assert_close(value[0], theirs, atol=1e-5, rtol=0 if clip else 1e-5)


@pytest.mark.parametrize("name", WITH_POSTERIORS)
def test_network_sees_original_timesteps(name, golden_file):
    golden, seen = golden_file(f"schedules/{name}"), []

    class Recorder(nn.Module):
        def forward(self, z, t):
            seen.extend(t.tolist())
            return torch.cat([z, z], dim=1)

    prior = Prior(Recorder(), linear_schedule(*SCHEDULES[name]))
    for i in golden["pmv_t"].tolist():
        prior.posterior(golden["pmv_x"][:1], i)
    assert seen == golden["pmv_t_seen_by_model"].tolist()


@pytest.mark.parametrize("name", WITH_POSTERIORS)
def test_q_sample(name, golden_file):
    golden, schedule = golden_file(f"schedules/{name}"), linear_schedule(*SCHEDULES[name])
    for b, i in enumerate(golden["pmv_t"].tolist()):
        ours = schedule.q_sample(golden["pmv_x"][b], i, golden["q_noise"][b])
        torch.testing.assert_close(ours, golden["q_sample"][b], atol=1e-5, rtol=0)
