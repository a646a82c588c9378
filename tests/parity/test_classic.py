"""DiVE, xGEM+ and STEEX as their authors released them: every recorded run, step by step."""

import json
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.methods.core.descent import Descent, descend
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import Extras
from vcebench.methods.dive import DiVE, DiVEFisher, fisher
from vcebench.methods.steex import STEEX
from vcebench.models.classifier import BinaryClassifier

from .conftest import GOLDEN, GoldenClassifier, load

CLOSE = {"atol": 2e-5, "rtol": 0}


class Decoder(nn.Module):
    """The recordings' decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(16, 192)
        self.conv1 = nn.Conv2d(12, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, z):
        h = F.interpolate(F.silu(self.fc(z)).view(-1, 12, 4, 4), scale_factor=2)
        return torch.tanh(self.conv2(F.interpolate(F.silu(self.conv1(h)), scale_factor=2)))


class Encoder(nn.Module):
    """The recordings' encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, 2, 1)
        self.fc = nn.Linear(128, 32)

    def forward(self, x):
        h = F.softplus(self.conv2(F.softplus(self.conv1(x))))
        return self.fc(h.flatten(1)).chunk(2, dim=1)


class Coder:
    """Both, as an autoencoder."""

    def __init__(self) -> None:
        self.encode, self.decode = (
            loaded(Encoder(), "dive_encoder"),
            loaded(Decoder(), "dive_decoder"),
        )


class Painter(nn.Module):
    """The recordings' semantic autoencoder; STEEX works with the labels that are in use."""

    regions = tuple(str(label) for label in range(20))

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 512)
        self.proj = nn.Linear(512, 6)
        self.conv1 = nn.Conv2d(26, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 3, 3, padding=1)

    def encode(self, x: Tensor, segments: Tensor) -> Tensor:
        features = torch.tanh(self.enc(x)).permute(0, 2, 3, 1)
        codes = torch.zeros(len(x), 20, 512)
        for b in range(len(x)):
            for r in segments[b].unique().tolist():
                codes[b, r] = torch.tanh(self.head(features[b][segments[b] == r].mean(dim=0)))
        return codes

    def decode(self, segments: Tensor, z: Tensor) -> Tensor:
        onehot = F.one_hot(segments.long(), 20).float()
        placed = onehot @ F.relu(self.proj(z))[:, None]
        h = torch.cat([placed, onehot], dim=3).permute(0, 3, 1, 2)
        return torch.tanh(self.conv2(F.leaky_relu(self.conv1(h), 0.2)))


def loaded(network: nn.Module, name: str) -> nn.Module:
    network.load_state_dict(load(f"classic/{name}"), strict=True)
    return network.eval().requires_grad_(False)


class Run:
    """A recorded run: tensors and settings; the first noise is all there is."""

    def __init__(self, name: str) -> None:
        self.tensors = load(f"classic/{name}")
        self.settings = json.loads((GOLDEN / "classic" / f"{name}.json").read_text())["settings"]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def draw(self, purpose, step, inner_step=0, pass_index=0, shape=None):
        assert (purpose, step, shape) == ("start", 0, self["noise_000"].shape[1:])
        return self["noise_000"]


@dataclass
class Steps:
    """Keeps what the loop tells its trace."""

    keeps = True

    v: list[Tensor] = field(default_factory=list)

    def record(self, step, i, z, x_t, mask_z, mask_x):
        assert x_t.ndim == 4
        assert len(x_t) == len(z)
        self.v.append(z.clone())


@dataclass(frozen=True)
class Released(DiVE):
    """A batch is averaged and stops together, and its mask is the recorded one."""

    leads: list[Tensor] = field(default_factory=list)
    recorded: Tensor | None = None

    def mask(self, state, codes):
        return self.recorded

    def loss(self, state, images):
        return super().loss(state, images) / len(state.x)

    def stop(self, state):
        self.leads.append(state.memory.lead)
        share = (state.memory.lead > 0).float().mean()
        return (share >= self.enough).expand(len(state.x))


def replay(name: str) -> tuple[Run, Released, Steps, Descent]:
    run = Run(name)
    settings = run.settings
    method = Released(
        iterations=settings["max_iters"],
        learning_rate=settings["lr"],
        explanations=settings["num_explanations"],
        reconstruction=settings["reconstruction_weight"],
        lasso=settings["lasso_weight"],
        diversity=settings["diversity_weight"],
        enough=settings["stop_batch_threshold"],
        recorded=run["mask"],
    )
    network = loaded(GoldenClassifier(40), "dive_classifier")
    classifier = BinaryClassifier(network, index=settings["attr"])
    guidance = Guidance(classifier, torch.ones(3), lambda_perceptual=0)
    target = (run["cached_logit"] <= 0).long()
    coder = Coder()
    state = Descent(None, guidance.bind(run["images"], target), run, Extras(autoencoder=coder))
    steps = Steps()
    descend(method, state, steps)
    return run, method, steps, state


DIVE = ["dive", "dive_fisher_spectral", "dive_until_flipped", "xgem_plus"]


@pytest.mark.parametrize("name", DIVE)
def test_every_pass_is_the_recorded_one(name):
    run, method, steps, state = replay(name)
    assert len(steps.v) == len(run["z_steps"])
    found = torch.stack(steps.v) + run["mu"][:, None]
    torch.testing.assert_close(found, run["z_steps"], **CLOSE)
    sign = torch.where(run["cached_logit"] <= 0, 1.0, -1.0)[:, None]
    torch.testing.assert_close(torch.stack(method.leads) * sign, run["logit_steps"], **CLOSE)
    images = state.images.unflatten(0, run["output"].shape[:2])
    torch.testing.assert_close(images, run["output"], **CLOSE)


@pytest.mark.parametrize("name", DIVE)
def test_what_stays_masked_stays_at_the_input(name):
    run, _, steps, _ = replay(name)
    held = run["mask"].expand_as(steps.v[0]) == 0
    assert all(bool((v[held] == 0).all()) for v in steps.v)


def test_a_stopped_batch_counts_its_passes():
    _, method, _, state = replay("dive_until_flipped")
    assert state.nfe.tolist() == [15 * 2] * 3
    assert method.evaluations() == (80, 80)


def test_codes_logits_and_fisher_matrices_are_the_recorded_ones():
    run, coder = Run("dive_fisher"), Coder()
    network = loaded(GoldenClassifier(40), "dive_classifier")
    mean = coder.encode(run["images"])[0]
    torch.testing.assert_close(mean, run["mu"], **CLOSE)
    torch.testing.assert_close(network(coder.decode(mean)), run["logits"], **CLOSE)
    for attribute, wanted in zip(run["attributes"].tolist(), run["fisher"], strict=True):
        found = fisher(coder.decode, lambda x, a=attribute: network(x)[:, a], run["mu"])
        assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-5


def test_every_cluster_moves_by_itself_and_all_together_move_everything():
    run = Run("dive_fisher_spectral")
    extras = Extras(fisher=run["fisher"])
    guidance = Guidance(BinaryClassifier(nn.Identity()), torch.ones(3), lambda_perceptual=0)
    state = Descent(None, guidance.bind(run["images"], torch.ones(3)), run, extras)
    mask = DiVEFisher(explanations=3).mask(state, 16)
    assert mask.shape == (1, 3, 16)
    assert mask.sum(dim=1).eq(1).all()
    assert mask.sum(dim=2).gt(0).all()


@pytest.mark.parametrize("name", ["steex", "steex_regions"])
def test_every_kept_code_is_the_recorded_one(name):
    run = Run(name)
    settings, used = run.settings, run["used_regions"]
    index = settings["region_index"]
    named = [str(index[n]) for n in settings["specified_regions"].split(",") if n]
    method = STEEX(
        iterations=settings["steps"],
        learning_rate=settings["lr"],
        proximity=settings["lambda_prox"],
        regions=",".join(named),
    )
    painter = loaded(Painter(), "steex_generator")
    network = loaded(GoldenClassifier(3), "steex_classifier")
    classifier = BinaryClassifier(network, index=settings["target_attribute"])
    probability = torch.sigmoid(classifier.logits(run["images"]))
    torch.testing.assert_close(probability, run["initial_probability"], **CLOSE)
    target = (probability < 0.5).long()
    guidance = Guidance(classifier, torch.ones(2), lambda_perceptual=0)
    state = Descent(
        None,
        guidance.bind(run["images"], target),
        run,
        Extras(autoencoder=painter, segments=run["segments"]),
    )
    steps = Steps()
    found = descend(method, state, steps)
    torch.testing.assert_close(steps.v[0][:, used], run["z0"], **CLOSE)
    kept = torch.stack([steps.v[i][:, used] for i in run["kept_iterations"].tolist()])
    torch.testing.assert_close(kept, run["z_kept"], **CLOSE)
    torch.testing.assert_close(found.x_cf, run["output"], **CLOSE)
    away = method.proximity * (steps.v[-1] - steps.v[0]).square().sum(dim=(1, 2))
    torch.testing.assert_close(away, run["proximity_last"], **CLOSE)
    idle = [r for r in range(20) if r not in used.tolist()]
    assert bool((steps.v[-1][:, idle] == 0).all())
    logits = [classifier.logits(painter.decode(run["segments"], v)) for v in steps.v]
    torch.testing.assert_close(torch.stack(logits), run["logit_steps"], **CLOSE)
