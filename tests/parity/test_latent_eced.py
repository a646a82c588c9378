"""ECED against our float64 reference of its text, and its denoising against the script of BLD."""

import pytest
import torch
from golden_latent import Cam, Film, Recorded, close, facts, load, prior, read, space

from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.masks import blend
from vcebench.methods.core.transport import Plain, transport
from vcebench.methods.eced import ECED


@pytest.fixture(scope="module")
def reference():
    run, settings = load("eced/eced_reference"), facts("eced/eced_reference")["settings"]
    kept = {}

    class Kept(ECED):
        def begin(self, state):
            first = super().begin(state)
            kept["scene"], kept["losses"], kept["gradients"] = state.memory, [], []
            return first

        def rule(self, state, gradient):
            kept["losses"].append(state.losses)
            kept["gradients"].append(self.pruned(state.memory, gradient))
            return super().rule(state, gradient)

    method = Kept(
        iterations=settings["iterations"],
        learning_rate=settings["lr"],
        chain=settings["total_steps"],
        denoising_steps=settings["steps"],
        strength=settings["guidance"],
        threshold=settings["threshold"],
        layer="features.4",
        tuning_steps=settings["decoder_iterations"],
        tuning_rate=settings["decoder_lr"],
    )
    draws = {}
    for k, noise in enumerate(run["noise_background"]):
        draws["background", k, 0] = noise
    for k, noise in enumerate(run["noise_start"]):
        draws["start", k, 0] = noise
        draws |= {("blend", k, j): noise for j, noise in enumerate(run["noise_blend"][k])}
    told = read(run["input_ids"])
    target, film = run["target"], Film()
    contexts = dict(zip(target.tolist(), told, strict=True))
    explained = Cam(load("networks/classifier_cam")).eval().requires_grad_(False)
    found = method.explain(
        run["image"],
        target,
        prior=prior("txt", read(run["null_ids"])[0], contexts, product="float32"),
        guidance=Guidance(explained, torch.ones(2), source=run["source"], lambda_perceptual=0),
        noise=Recorded(draws),
        trace=film,
    )
    return run, method, film, found, kept


def test_the_region_is_exact(reference):
    run, _, _, found, kept = reference
    assert torch.equal(found.mask_z[:, 0], run["mask"].bool())
    assert torch.equal(kept["scene"].mask[:, 0], run["latent_mask"].bool())


def test_the_background_after_tuning(reference):
    run, _, _, _, kept = reference
    close(kept["scene"].background, run["background_steps"][-1])


def test_tuned_decoders(reference):
    run, _, _, _, kept = reference
    scene = kept["scene"]
    shown = [d.decode(z) for d, z in zip(scene.decoders, scene.background.split(1), strict=True)]
    close(torch.cat(shown), run["decoded_background"])


def test_losses_and_gradients_of_every_round(reference):
    run, _, _, _, kept = reference
    close(torch.stack(kept["losses"]), run["losses"])
    close(torch.stack(kept["gradients"]), run["grad_steps"])


def test_latents_and_pictures_of_every_round(reference):
    run, _, film, found, _ = reference
    close(torch.stack(film.z), run["foreground_steps"])
    close(torch.stack(film.x_t), run["images"])
    close(found.x_cf, run["output"])


def test_costs_are_those_it_announces(reference):
    _, method, _, found, _ = reference
    costs = zip(found.nfe.tolist(), found.backward.tolist(), strict=True)
    assert set(costs) == {method.evaluations()}


def test_the_networks_stay_as_they_are(reference):
    assert not any(p.requires_grad for p in space("txt").autoencoder.parameters())


def test_blended_denoising_is_that_of_its_authors_script():
    run, meta = load("eced/blended_latent_diffusion"), facts("eced/blended_latent_diffusion")
    settings, count = meta["settings"], len(meta["timesteps"])
    contexts = dict(enumerate(read(run["input_ids"])))
    told = prior("txt", read(run["null_ids"])[0], contexts, product="float32")
    bound = told.strided(settings["num_inference_steps"], 0).bind(torch.tensor([0, 1]))
    source, mask = run["source_latent"].expand(2, -1, -1, -1), run["latent_mask"].bool()
    stepped = []

    def epsilon(z, i):
        null, words = bound.noises(z, i, "null", "target")
        return null + settings["guidance_scale"] * (words - null)

    def after(state, i):
        stepped.append(state[0])
        noise = run[f"noise_{count - i:03d}"]
        return (blend(mask, state[0], bound.schedule.q_sample(source, i, noise)),)

    down = [(i, i - 1) for i in reversed(range(count))]
    assert bound.schedule.timestep_map[:count].tolist() == meta["timesteps"][::-1]
    film = Film()
    with torch.no_grad():
        (z,) = transport(bound, (run["noise_000"],), down, epsilon, Plain(), after, film)
    close(torch.stack(stepped), run["stepped"])
    close(z, run["final_latents"])
    close(space("txt").decode(z), run["decoded"])
