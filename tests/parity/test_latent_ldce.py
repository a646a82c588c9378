"""LDCE against its authors' sampler on a tiny Stable Diffusion and a tiny class-conditional LDM."""

import copy

import pytest
import torch
from golden_latent import Film, Recorded, classifier, close, facts, load, prior, space, unet
from torch.nn.functional import interpolate

from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.methods.ldce import (
    LDCE,
    LDCEClass,
    LDCECone,
    LDCEFree,
    LDCENoBackprop,
    LDCENoConsensus,
)
from vcebench.models.classifier import BinaryClassifier, MulticlassClassifier

RUNS = {
    "ldce_txt": LDCE,
    "ldce_cls": LDCEClass,
    "ldce_txt_free": LDCEFree,
    "ldce_txt_no_consensus": LDCENoConsensus,
    "ldce_txt_no_backprop": LDCENoBackprop,
    "ldce_txt_no_distance": LDCE,
    "ldce_txt_cone_binning": LDCECone,
}


def method_of(settings, kind):
    sampler = settings["sampler"]
    found = {
        "tau": settings["t_enc"],
        "chain": settings["ddim_steps"],
        "scale": float(settings["scale"]),
        "class_scale": sampler["classifier_lambda"],
        "distance_scale": sampler["dist_lambda"],
        "angle": sampler["deg_cone_projection"],
    }
    return kind(**{name: found[name] for name in kind(tau=1).settings()})


def networks_of(run, meta):
    """Prior, explained classifier and targets of a golden run."""
    target = run["target"]
    if meta["prior"] == "txt":
        contexts = dict(zip(target.tolist(), run["context"], strict=True))
        conditional = prior("txt", run["null_context"][0], contexts)
    else:
        rows = dict(zip((3, 7, 11, 1000), load("networks/cls_embedding")["weight"], strict=True))
        conditions = zip(target.tolist(), run["class_condition"].tolist(), strict=True)
        contexts = {class_: rows[told][None] for class_, told in conditions}
        conditional = prior("cls", rows[1000][None], contexts)
    if meta["classifier"] == "binary":
        return conditional, BinaryClassifier(classifier(1)).requires_grad_(False), target
    return conditional, MulticlassClassifier(classifier(12)).requires_grad_(False), target


def noise_of(run, meta):
    drawn = [entry["name"] for entry in meta["noise_draws"] if entry["stored"]]
    whole = [run[name] for name in drawn if run[name].ndim == 4]
    starts = [run[name] for name in drawn if run[name].ndim == 3]
    posterior = whole.pop(0) if meta["prior"] == "txt" else torch.zeros_like(run["latent"])
    start = torch.stack(starts) if starts else whole.pop(0)
    return Recorded({("encode", 0, 0): posterior, ("start", 0, 0): start})


class Watched:
    """A method whose posteriors and gradients are kept."""

    def __init__(self, kind):
        self.posteriors, self.noises = [], []
        watch = self

        class Kept(kind):
            def update(self, state, posterior, gradient):
                watch.posteriors.append(posterior)
                watch.noises.append(posterior.noise + self.scale * gradient.total)
                return super().update(state, posterior, gradient)

        self.kind = Kept


# The released program's own float32 numbers of this run stand .99 of the tolerance from a replay
# in double precision: only a replay like that can be held to it on every processor.
DOUBLE = {"ldce_txt_cone_binning"}


def networks_in_double(run, meta):
    """Widens the run's tensors where they stand; the golden networks are shared, so copied."""
    run.update({name: x.double() for name, x in run.items() if x.is_floating_point()})
    conditional, explained, target = networks_of(run, meta)
    conditional = copy.deepcopy(conditional)
    for network in (conditional.network, conditional.space.autoencoder, explained):
        network.double()
    return conditional, explained, target


@pytest.fixture(scope="module", params=RUNS)
def seen(request):
    run, meta = load(f"ldce/{request.param}"), facts(f"ldce/{request.param}")
    watched = Watched(RUNS[request.param])
    method = method_of(meta["settings"], watched.kind)
    networks = networks_in_double if request.param in DOUBLE else networks_of
    conditional, explained, target = networks(run, meta)
    film = Film()
    found = method.explain(
        2 * run["image"] - 1,
        target,
        prior=conditional,
        guidance=Guidance(explained, torch.ones(len(target)), lambda_perceptual=0),
        noise=noise_of(run, meta),
        trace=film,
    )
    return run, method, watched, film, found


def test_latents_of_every_step(seen):
    run, _, _, film, _ = seen
    close(torch.stack(film.z), run["z_steps"])


def test_both_noises_of_every_step(seen):
    run, _, watched, _, _ = seen
    for told, wanted in (("noise", "eps_uncond_steps"), ("conditioned", "eps_cond_steps")):
        # A prior answers in float32, whatever its network computes in.
        found = torch.stack([getattr(p, told) for p in watched.posteriors])
        close(found.to(run[wanted]), run[wanted])


def test_the_guided_noise_of_every_step(seen):
    run, _, watched, _, _ = seen
    close(torch.stack(watched.noises), run["eps_steps"])


def test_the_first_picture(seen):
    run, _, _, film, _ = seen
    close(film.x_t[0], run.get("decoded_first_step", film.x_t[0]))


def test_consensus_is_exact(seen):
    run, _, _, film, _ = seen
    if "consensus_steps" not in run:
        assert all(mask is None for mask in film.mask_x)
        return
    wanted = run["consensus_steps"].bool()
    found = torch.stack(list(film.mask_x))
    enlarged = interpolate(wanted.float(), found.shape[-2:], mode="nearest")
    assert torch.equal(found[:, :, 0], enlarged.bool())


def test_the_counterfactual(seen):
    run, _, _, _, found = seen
    close(((found.x_cf + 1) / 2).clamp(0, 1), run["output"])


def test_costs_are_those_it_announces(seen):
    _, method, _, _, found = seen
    assert {(n, b) for n, b in zip(found.nfe.tolist(), found.backward.tolist(), strict=True)} == {
        method.evaluations()
    }


@pytest.mark.parametrize("kind", ["txt", "cls"])
def test_networks_are_the_golden_ones(kind):
    check = load(f"networks/forward_check_{kind}")
    close(unet(kind)(check["z"], check["t"], check["context"]), check["unet_output"])
    there = space(kind)
    close(there.decode(check["z"]), check["decoded"])
    mean, log_variance = there.autoencoder.encode(check["image"])
    close(mean, check["posterior_mean" if kind == "txt" else "encoded"])
    if kind == "txt":
        close((0.5 * log_variance).exp(), check["posterior_std"])


@pytest.mark.parametrize("kind", ["txt", "cls"])
@pytest.mark.parametrize(("name", "product"), [("ldm", "float64"), ("diffusers", "float32")])
def test_chains_are_those_of_the_released_tables(kind, name, product):
    start, end = {"txt": (0.00085, 0.012), "cls": (0.0015, 0.0195)}[kind]
    whole = scaled_linear_schedule(start, end, 1000, 0, product)
    wanted = load("networks/schedules")[f"{kind}_{name}"]
    assert torch.equal(torch.from_numpy(whole.alphas_cumprod).float(), wanted)
    assert whole.final == float(wanted[0])
