"""TiME against its authors' pipelines, with the pinned diffusers and with a current one."""

from dataclasses import replace

import pytest
import torch
from golden_latent import Film, Recorded, classifier, close, facts, load, prior, read
from torch.nn.functional import interpolate

from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.schedule import Schedule
from vcebench.methods.core.transport import Edict, transport
from vcebench.methods.edict import ReleasedTiME, TiME, TiMENaive


class NullTiME(ReleasedTiME):
    """The negative prompt is empty, and the way up is less guided."""

    def inverted(self, *where):
        return ReleasedTiME.inverted(replace(self, strength=2.0), *where)

    def seen(self, prior, words, against):
        return super().seen(prior, words, "null")


RUNS = {
    "edict": ReleasedTiME,
    "edict_current": TiME,
    "edict_no_guidance": ReleasedTiME,
    "edict_null_prompt": NullTiME,
    "naive": TiMENaive,
}


class Silent(torch.nn.Module):
    """A classifier that must not be asked."""

    def __getattr__(self, name):
        raise AssertionError("the classifier is asked")


def conditional(run):
    """The prior; class 0 has the first image's source words, class 1 its target's."""
    ids = torch.cat([run["source_ids"][:1], run["target_ids"][:1]])
    assert torch.equal(run["source_ids"], ids)
    negative, positive = read(ids, run["token_rows"])
    return prior("txt", read(run["null_ids"])[0], {0: negative, 1: positive}, product="float32")


def guidance(source):
    weights = torch.ones(len(source))
    return Guidance(Silent(), weights, source=source, lambda_perceptual=0)


@pytest.fixture(scope="module", params=RUNS)
def seen(request):
    run, settings = load(f"time/{request.param}"), facts(f"time/{request.param}")["settings"]
    method = RUNS[request.param](
        lengths=str(settings["steps"]),
        chain=settings["total_steps"],
        strength=settings["guidance_denoising"],
    )
    moved = []
    plain = Schedule.ddim

    def ddim(self, *args):
        moved.append(plain(self, *args))
        return moved[-1]

    film, source = Film(), torch.tensor([0, 1])
    draws = {("start", 0, 0): run["noise_000"]} if "noise_000" in run else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Schedule, "ddim", ddim)
        found = method.explain(
            run["image"],
            1 - source,
            prior=conditional(run),
            guidance=guidance(source),
            noise=Recorded(draws),
            trace=film,
        )
    return run, method, moved, film, found


def test_moves_of_both_walks(seen):
    run, _, moved, _, _ = seen
    down = len(run["denoising_steps"])
    close(torch.stack(moved[-down:]), run["denoising_steps"])
    if "inversion_steps" in run:
        close(torch.stack(moved[:-down]), run["inversion_steps"])


def test_where_the_walk_down_begins(seen):
    run, method, _, film, _ = seen
    close(film.z[-method.length], run["inverted_x"])


def test_the_counterfactual(seen):
    run, _, _, _, found = seen
    close(found.x_cf, run["output"])


def test_costs_and_steps_are_those_it_announces(seen):
    _, method, _, film, found = seen
    assert found.nfe.tolist() == [method.evaluations()[0]] * 2
    assert len(film.z) == method.steps


@pytest.mark.parametrize(("name", "kind"), [("edict", ReleasedTiME), ("edict_current", TiME)])
def test_down_again_under_the_words_of_the_way_up(name, kind):
    run, settings = load(f"time/{name}"), facts(f"time/{name}")["settings"]
    method = kind(lengths=str(settings["steps"]), chain=settings["total_steps"])
    source = torch.tensor([0, 1])
    bound = conditional(run).strided(method.chain, 1).bind(1 - source, source)
    down = [(i, i - 1) for i in reversed(range(method.length))]
    with torch.no_grad():
        state = method.inverted(bound, run["latent"], down, None)
        epsilon = method.seen(bound, "source", "target")
        x, _ = transport(bound, state, down, epsilon, Edict(method.mix))
        # Single pixels of what returned differ by more than the tolerance between the authors' own
        # float32 run and a float64 one, so it is their mean that counts.
        error = (bound.space.decode(x) - bound.space.decode(run["latent"])).abs().mean()
    wanted = facts(f"time/{name}")["checks"]["recovery_mean_abs_error"]
    assert error.item() == pytest.approx(wanted, abs=1e-5)
    if kind is TiME:
        close(x, run["latent"])


def test_the_ladder_of_the_released_program():
    run, meta = load("time/ladder"), facts("time/ladder")
    words = read(torch.cat([run["negative_ids"], run["positive_ids"]]), run["token_rows"])
    tiny = classifier(1)
    tiny.fc.bias.data = run["fc_bias"]
    size = [meta["settings"]["classifier_image_size"]] * 2

    def logit(x):
        return tiny(interpolate(x, size, mode="bilinear", align_corners=False).clamp(-1, 1))[:, 0]

    contexts = dict(enumerate(words))
    told = prior("txt", torch.zeros_like(words[0]), contexts, product="float32")
    lengths = ",".join(map(str, meta["settings"]["steps"]))
    ladder = ReleasedTiME(lengths=lengths, chain=10, strength=meta["settings"]["guidance"])
    decoded, logits, tries = [], [], []
    for x in run["image"].split(1):
        source = (logit(x) > 0).long()
        made = []
        for rung in ladder.rungs(()):
            method = ReleasedTiME(**{**ladder.settings(), **rung})
            found = method.explain(
                x, 1 - source, prior=told, guidance=guidance(source), noise=Recorded({})
            )
            made.append(int(rung["lengths"]))
            decoded.append(found.x_cf)
            logits.append(logit(found.x_cf))
            if (logits[-1] > 0).long() != source:
                break
        tries.append(made)
    assert tries == meta["tries"]
    close(torch.cat(decoded), run["decoded_tries"])
    close(torch.cat(logits), run["logits_tries"])
