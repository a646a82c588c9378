"""DVCE and SVCE as their authors released them: every recorded run, step by step."""

import json
import math

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from vcebench.methods import registry
from vcebench.methods.core.directions import angle, length, matched, on_cone, unit
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.sampler import reverse
from vcebench.methods.core.schedule import linear_schedule
from vcebench.methods.dvce import DVCE, DVCENoCone
from vcebench.methods.svce import SVCE, farthest
from vcebench.models.classifier import MulticlassClassifier

from .conftest import GOLDEN, GoldenClassifier, load

CLOSE = {"atol": 1e-5, "rtol": 0}
DEGREES = {"atol": 1e-3, "rtol": 0}
NO_CONE = ["no_cone", "no_cone_direct", "no_cone_direct_p1.5", "no_cone_l2_half"]
CONE = ["cone", "cone_strong", "cone_aug"]


class Seen(nn.Module):
    """The recorded classifiers take images on [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network((x + 1) / 2)
        return out


class Run:
    """A recorded run: tensors, settings, classifiers, and its noise by purpose and step."""

    def __init__(self, name: str) -> None:
        self.tensors = load(f"dvce/{name}")
        with safe_open(GOLDEN / "dvce" / f"{name}.safetensors", "pt") as file:
            self.meta = json.loads(file.metadata()["meta"])
        self.settings = self.meta["settings"]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def draw(self, purpose: str, step: int, inner_step: int = 0, pass_index: int = 0) -> Tensor:
        return self.tensors["noise_000" if purpose == "start" else f"noise_{step + 1:03d}"]

    def classifier(self, role: str) -> MulticlassClassifier:
        network = GoldenClassifier(5)
        network.load_state_dict(load(f"dvce/classifier_{self.settings[role]}"), strict=True)
        return MulticlassClassifier(Seen(network)).eval().requires_grad_(False)

    def method(self, id: str, **more) -> DVCENoCone:
        settings = self.settings
        return registry.method(
            id,
            tau=int(settings["timestep_respacing"]) - settings["skip_timesteps"],
            class_scale=settings["classifier_lambda"],
            distance_scale=settings["lp_custom_value"],
            p=settings["lp_custom"],
            distance_through_prior=settings["denoise_dist_input"],
            views=settings["aug_num"],
            view_size=settings["classifier_input_size"],
            **more,
        )


class Steps:
    """Keeps what the loop tells its trace, and what the gradients were."""

    keeps = True

    def __init__(self) -> None:
        self.z: list[Tensor] = []
        self.x0: list[Tensor] = []

    def record(self, step, i, z, x_t, mask_z, mask_x):
        self.z.append(z.clone())
        self.x0.append(x_t.clone())


def watched(kind: type[DVCENoCone]) -> type[DVCENoCone]:
    """A method that keeps its parts of every step, and takes its warps from the recording."""

    class Watched(kind):
        kept: list[dict[str, Tensor]] = []  # noqa: RUF012
        recorded: dict[str, Tensor] = {}  # noqa: RUF012

        def gradient(self, state):
            self.kept.append({"eps": state.posterior.noise.detach()})
            found = super().gradient(state)
            return found

        def towards(self, state, classifier, which):
            found = super().towards(state, classifier, which)
            self.kept[-1][("robust", "target")[which]] = found
            return found

        def direction(self, state):
            found = super().direction(state)
            self.kept[-1]["class"] = found
            return found

        def distance_gradient(self, state):
            found = super().distance_gradient(state)
            self.kept[-1]["dist"] = found
            return found

        def grids(self, state, which):
            first = 4 * state.step + 2 * which
            return self.recorded[f"grid_{first:03d}"], self.recorded[f"grid_{first + 1:03d}"]

    return Watched


def replay(run: Run, id: str, unet, **more):
    """The run again: its steps, the parts of every gradient, the last z and the counterfactual."""
    plain = run.method(id, **more)
    kind = watched(type(plain))
    kind.kept, kind.recorded = [], run.tensors
    method = kind(**plain.settings())
    schedule = linear_schedule(1000, int(run.settings["timestep_respacing"]))
    explained = "second_classifier" if run.settings["second_classifier"] else "classifier"
    guidance = Guidance(
        run.classifier(explained),
        torch.ones(3),
        lambda_perceptual=0,
        robust=run.classifier("classifier"),
    )
    steps = Steps()
    found = reverse(
        method, Prior(unet, schedule), guidance.bind(run["x"], run["target"]), run, steps
    )
    return steps, kind.kept, found


def close_gradient(found: Tensor, wanted: Tensor) -> None:
    """To 1e-4 of the gradient's own size; a released one is a mean over the batch of three."""
    error = length(found - wanted) / length(wanted)
    assert error.max() < 1e-4


@pytest.mark.parametrize("name", [*NO_CONE, *CONE])
def test_every_step_is_the_recorded_one(name, golden_unet):
    run = Run(name)
    id = "dvce" if name in CONE else "dvce-no-cone"
    more = {"angle": float(run.settings["deg_cone_projection"])} if name in CONE else {}
    steps, parts, found = replay(run, id, golden_unet, **more)
    torch.testing.assert_close(torch.stack(steps.z), run["z_steps"], **CLOSE)
    torch.testing.assert_close(torch.stack(steps.x0), run["x0_steps"], **CLOSE)
    torch.testing.assert_close(((found.x_cf + 1) / 2).clamp(0, 1), run["output"], **CLOSE)
    count = len(steps.z)
    backward = (2 if name in CONE else 1) + run.settings["denoise_dist_input"]
    assert (found.nfe == count).all()
    assert (found.backward == backward * count).all()
    for step, kept in enumerate(parts):
        norm = length(kept["eps"]).flatten()
        torch.testing.assert_close(norm, run["eps_norm_steps"][step], atol=0, rtol=1e-4)
    if name in CONE:
        angles = [torch.rad2deg(angle(k["robust"], k["target"])).flatten() for k in parts]
        torch.testing.assert_close(torch.stack(angles), run["angle_steps"], **DEGREES)


@pytest.mark.parametrize("name", [*NO_CONE, *CONE])
def test_every_part_of_a_gradient_is_the_recorded_one(name, golden_unet):
    run = Run(name)
    id = "dvce" if name in CONE else "dvce-no-cone"
    more = {"angle": float(run.settings["deg_cone_projection"])} if name in CONE else {}
    _, parts, _ = replay(run, id, golden_unet, **more)
    scale = {"robust": 3.0, "target": 3.0, "class": 1.0 if name in CONE else 3.0}
    # The released distance is a mean over all numbers of the batch, or a gradient as it is.
    scale["dist"] = run["x"].numel() if run.settings["denoise_dist_input"] else 1.0
    for step in run.meta["probe_steps"]:
        kept = parts[step]
        for part in ("eps", "robust", "target", "class", "dist"):
            if f"probe_{step}_grad_{part}" in run.tensors and part in kept:
                close_gradient(kept[part], scale[part] * run[f"probe_{step}_grad_{part}"])
        torch.testing.assert_close(kept["eps"], run[f"probe_{step}_eps"], **CLOSE)
        eps = kept["eps"]
        total = run.settings["classifier_lambda"] * matched(kept["class"], eps)
        total = total - run.settings["lp_custom_value"] * matched(kept["dist"], eps)
        close_gradient(total, run[f"probe_{step}_grad_total"])


@pytest.mark.parametrize("degrees", [0, 15, 30, 60])
def test_the_cone(degrees):
    given = load("dvce/functions")
    robust, target = given["cone_grad_robust"], given["cone_grad_target"]
    angles = torch.rad2deg(angle(robust, target)).flatten()
    torch.testing.assert_close(angles, given["cone_angles_degrees"], **DEGREES)
    outside = angles[:, None] > degrees
    found = torch.where(outside, on_cone(robust, target, degrees), unit(target))
    close_gradient(found, given[f"cone_out_{degrees}"])


def test_lengths_are_matched_and_zero_stays_zero():
    given = load("dvce/functions")
    found = matched(given["renorm_in"], given["renorm_eps"])
    torch.testing.assert_close(found, given["renorm_out"], atol=0, rtol=1e-4)
    assert (found[length(given["renorm_in"]).flatten() == 0] == 0).all()


@pytest.mark.parametrize("p", ["0.5", "1.0", "1.5", "2.0"])
def test_the_gradient_of_the_distance(p):
    given = load("dvce/functions")

    class State:
        x_t = given["lp_diff"]
        x = torch.zeros_like(given["lp_diff"])

    found = DVCENoCone(p=float(p), distance_through_prior=False).distance_gradient(State)
    torch.testing.assert_close(found, given[f"lp_grad_{p}"], atol=0, rtol=1e-4)


@pytest.mark.parametrize(
    ("p", "radius"), [(1.5, 0.3), (1.5, 2.0), (1.5, 5.0), (1.5, 50.0), (2.0, 1.0), (2.0, 3.0)]
)
def test_the_farthest_point_of_the_ball(p, radius):
    given = load("dvce/functions")
    x, w = given["maxlin_x"], given["maxlin_w"]
    found = farthest(x, w, radius, p)
    torch.testing.assert_close(found, given[f"maxlin_{p}_{radius}"], **CLOSE)


class Kept(SVCE):
    """Keeps its points, step lengths, and the arguments of every search for the farthest point."""

    alphas: list[Tensor] = []  # noqa: RUF012
    searches: list[tuple[Tensor, Tensor]] = []  # noqa: RUF012
    points: list[Tensor] = []  # noqa: RUF012
    values: list[Tensor] = []  # noqa: RUF012

    def farthest(self, x, direction):
        found = super().farthest(x, direction)
        self.searches.append((direction, found))
        return found

    def rule(self, state, gradient):
        self.points.append(state.v.clone())
        self.values.append(-state.losses)
        moved = super().rule(state, gradient)
        if state.step < self.iterations:
            self.alphas.append(state.memory.alpha)
        return moved


def test_svce_is_the_recorded_one():
    run = Run("svce")
    method = Kept(epsilon=run.settings["eps"], iterations=run.settings["steps"], p=1.5)
    for kept in (Kept.alphas, Kept.searches, Kept.points, Kept.values):
        kept.clear()
    guidance = Guidance(run.classifier("classifier"), torch.ones(3), lambda_perceptual=0)
    found = method.explain(
        2 * run["x01"] - 1, run["target"], prior=None, guidance=guidance, noise=run
    )
    torch.testing.assert_close(torch.stack(Kept.points), run["x_adv_steps"], **CLOSE)
    torch.testing.assert_close(
        torch.stack(Kept.values), run["log_p_robust_steps"], atol=0, rtol=1e-4
    )
    assert torch.equal(torch.stack(Kept.alphas), run["alpha_steps"])
    torch.testing.assert_close((found.x_cf + 1) / 2, run["output"], **CLOSE)
    for search in (0, 1, 7):
        direction, delta = Kept.searches[search]
        torch.testing.assert_close(delta, run[f"probe_{search}_maxlin"], **CLOSE)
        if search:  # released as a gradient of the sum over the images
            close_gradient(direction, run[f"probe_{search}_direction"])
    assert (found.nfe == 0).all()


def test_views_are_warped_as_the_recorded_ones_are():
    """Recorded warps are turns by up to 15°, shifts by a tenth, corners moved inwards by 35 %."""
    run = Run("cone_aug")
    grid = run["grid_000"].double()
    side = (2 * torch.arange(grid.shape[1]).double() + 1) / grid.shape[1] - 1
    x, y = torch.meshgrid(side, side, indexing="xy")
    places = torch.stack([x.flatten(), y.flatten(), torch.ones(x.numel()).double()], dim=1)
    for warp in grid:
        matrix = torch.linalg.lstsq(places, warp.flatten(0, 1)).solution.T
        assert math.degrees(abs(math.atan2(matrix[1, 0], matrix[0, 0]))) <= 15
        assert matrix[:, 2].abs().max() <= 0.2  # half a side is 1
        torch.testing.assert_close(matrix[:, :2].det().item(), 1.0, atol=1e-5, rtol=0)


def test_cone_projection_keeps_the_robust_gradient_inside():
    given = load("dvce/functions")
    robust, target = given["cone_grad_robust"], given["cone_grad_target"]
    projected = registry.method("dvce-cone-projection")
    assert torch.equal(projected.inside(robust, target), unit(robust))
    assert torch.equal(DVCE().inside(robust, target), unit(target))
