"""The bridge's coefficients, its training, and walks on it, against the authors' numbers."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from vcebench.methods.core.bridge import Bridge
from vcebench.training.bridge import BridgeLoss
from vcebench.training.loop import LoopSettings, fit

GOLDEN = Path(__file__).parent / "golden" / "rcsb"
STEPS = (20, 40, 500, 1000)


def meta(name):
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        return json.loads(file.metadata()["meta"])


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    ("ours", "theirs"), [("std", "std_fwd"), ("image", "mu_x0"), ("corruption", "mu_x1")]
)
def test_coefficients_are_the_released_ones(golden_file, steps, ours, theirs):
    expected = golden_file("rcsb/schedules")[f"{steps}_1.0_{theirs}_f64"].numpy()
    np.testing.assert_allclose(getattr(Bridge(steps), ours), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("steps", STEPS)
def test_levels_are_what_the_released_network_was_told(golden_file, steps):
    expected = golden_file("rcsb/schedules")[f"{steps}_1.0_noise_levels"]
    torch.testing.assert_close(Bridge(steps).levels, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("walk", meta("schedules")["walks"])
def test_a_walk_visits_the_released_indices(walk):
    start, moves = walk.split(",")
    count = int(start) - 1 if moves == "None" else int(moves)
    steps = 2 * int(start)
    kept = Bridge(steps).respaced(count, int(start) / steps).kept
    assert list(kept) == meta("schedules")["walks"][walk]


class Constant(LoopSettings):
    """I2SB's rate in its first iterations."""

    def rate(self, step):
        return self.learning_rate


def test_two_iterations_of_the_released_training_loop(golden_bridge, golden_file, tmp_path):
    run, facts = golden_file("rcsb/i2sb_training"), meta("i2sb_training")
    network = copy.deepcopy(golden_bridge)
    bridge = BridgeLoss(Bridge(facts["interval"]))
    values, states, directions, iterations = [], [], [], iter(range(2))

    def loss(module, generator):
        k = next(iterations)
        rows = slice(3 * k, 3 * k + 3)
        x, region, step = run["x"][rows], run["mask"][rows].bool(), run["step"][k]
        noise = run[f"noise_{k:03d}"]
        states.append(bridge.state(x, region, noise, step))
        directions.append(region * bridge.direction(x, states[-1], step))
        values.append(bridge.value(module, x, region, noise, step))
        return values[-1]

    settings = Constant(
        steps=2, seed=0, learning_rate=facts["lr"], warmup=0, ema=0.99, clip=math.inf
    )
    fit("bridge", network, loss, settings, tmp_path / "state.pt", progress=False)
    last = torch.load(tmp_path / "state.pt", weights_only=True)["module"]

    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(torch.stack(states), run["xt"], **close)
    torch.testing.assert_close(torch.stack(directions), run["label"], **close)
    torch.testing.assert_close([float(v.detach()) for v in values], facts["loss"], **close)
    for key in ("out.2.bias", "input_blocks.0.0.bias", "time_embed.0.bias"):
        torch.testing.assert_close(last[key], run[f"after_{key.replace('.', '_')}"], **close)
    torch.testing.assert_close(network.out[2].bias.detach(), run["ema_out_2_bias"], **close)
