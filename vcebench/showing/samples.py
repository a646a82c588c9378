"""What networks draw by themselves: a prior without guidance, a classifier's gradient alone."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from vcebench.data.base import ImageSet
from vcebench.data.registry import PLAIN, dataset_entry, open_dataset
from vcebench.errors import UserError, user_errors
from vcebench.folders.images import dequantise, quantise
from vcebench.methods.core.directions import unit
from vcebench.methods.core.guidance import Guidance, TargetClassifier
from vcebench.methods.core.method import given
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.dime import DiMEUnconditional
from vcebench.models.bundle import Bundle
from vcebench.models.latent_draw import drawn
from vcebench.models.latent_files import load_latent
from vcebench.models.loading import load_bundle
from vcebench.models.own import load_own_bundle
from vcebench.models.shipped import ASSETS, FILES, latent_folder
from vcebench.settings.custom import CustomTask, read_custom
from vcebench.settings.presets import preset
from vcebench.showing.pictures import example_sheet
from vcebench.weights.shipped import read_card

SHOWN = 6

DRAWN, SCALE = 12, 3.0
"""Drawings of a prompt, and how strongly it is followed."""

ASCENT, STEPS = 10, 20
"""Length of an ascent in radii of the robust classifier, and its steps."""


@torch.no_grad()
def prior_sheet(dataset: str, split: str | None = None, seeds: int = 2) -> Image.Image:
    """A picture of the prior: inputs, the same noised to the preset's τ, and denoised from there.

    The denoising is the guided loop of every method, without guidance (`dime-unconditional`), so a
    sample is what a method would make of the image if it wanted no change.

    Args:
        dataset: a data set whose networks are there.
        split: the split the inputs are taken from; the protocol's if none is given.
        seeds: samples per input.

    Raises:
        UserError, ValueError: the data set is unknown, or its data or networks are missing.
    """
    images = open_dataset(dataset, None, split)
    bundle = load_bundle(dataset, images.task.name)
    return _drawn(images, bundle, preset(dataset, images.task.name).tau, seeds)


def own_prior_sheet(
    custom: CustomTask, images: ImageSet, tau: object = None, seeds: int = 2
) -> Image.Image:
    """The same of somebody's own images and prior.

    Args:
        tau: noise level, 60 if it is no number.

    Raises UserError: a network cannot be loaded or does not fit the images.
    """
    bundle = load_own_bundle(custom.named(images), metrics=False)
    usual = preset(custom.name, images.task.name).tau
    with user_errors():
        steps = DiMEUnconditional(tau=tau if isinstance(tau, int) else usual)
        steps.check(bundle.prior, (bundle.channels, *images.size))
    return _drawn(images, bundle, steps.tau, seeds)


@torch.no_grad()
def _drawn(images: ImageSet, bundle: Bundle, tau: int, seeds: int) -> Image.Image:
    """Inputs, the same noised to τ, and denoised from there."""
    dataset = images.name
    examples = [images[index] for index in range(min(SHOWN, len(images)))]
    x = dequantise(torch.stack([example.image for example in examples]))
    explainer, prior = DiMEUnconditional(tau=tau), given(bundle.prior)
    target = bundle.explained.decide(x).target
    x = x if bundle.channels == 3 else x.mean(dim=1, keepdim=True)
    guidance = Guidance(bundle.explained, torch.zeros(len(x)), lambda_perceptual=0)
    columns: dict[str, Tensor] = {"input": x}
    for seed in range(seeds):
        shape = (x.shape[1], x.shape[2], x.shape[3])
        noise = KeyedNoise(seed, dataset, [example.id for example in examples], shape)
        start = noise.draw("start", 0, 0, 0)
        columns[f"noised to {tau}"] = prior.schedule.q_sample(x, explainer.start(), start)
        drawn = explainer.explain(x, target, prior=prior, guidance=guidance, noise=noise)
        columns[f"denoised, seed {seed}"] = drawn.x_cf
    heads = ["input", f"noised to {tau}", *(f"denoised, seed {seed}" for seed in range(seeds))]
    columns = {head: shown.expand(-1, 3, -1, -1) for head, shown in columns.items()}
    tiles = [(head, quantise(columns[head][row])) for row in range(len(x)) for head in heads]
    return example_sheet(tiles, columns=2 * len(heads))


def prompt_sheet(dataset: str | None, config: Path | None, prompt: str) -> Image.Image:
    """What a latent diffusion model draws of some words, from pure noise.

    Args:
        dataset: an embedded data set, or
        config: the file of a task of somebody's own with a section [latent].

    Raises UserError: there is no such model, or it reads no prompts.
    """
    if config is not None:
        custom = read_custom(config)[0]
        if custom.latent is None:
            raise UserError(f"{config} has no section [latent]; see docs/latent.md")
        place, geometry = custom.latent.stable_diffusion, custom.data.geometry()
        size = (geometry.height, geometry.width)
    else:
        entry = dataset_entry(str(dataset))
        if entry.name not in FILES:
            raise UserError(f"{entry.name} ships without networks; use synthfaces, or --config")
        place, size = latent_folder(entry.name), entry.size
    pictures = quantise(drawn(load_latent(place), prompt, (3, *size), range(DRAWN), SCALE))
    return example_sheet([(f"seed {k}", picture) for k, picture in enumerate(pictures)], columns=6)


@torch.no_grad()
def robust_sheet(dataset: str, split: str | None = None) -> Image.Image:
    """What the other class looks like to each kind of classifier, by its gradient alone.

    Inputs, and the same moved ten radii of the robust classifier's ball up the probability of the
    other class: of the robust classifier, of the one that is explained, and of the plain one.

    Args:
        dataset: an embedded data set.
        split: the split the inputs are taken from; the protocol's if none is given.

    Raises:
        UserError, ValueError: the data set is unknown or has no robust classifier.
    """
    images = open_dataset(dataset, None, split)
    name = images.task.name
    bundle = load_bundle(dataset, name, needs={"robust"}, metrics=False)
    plain = load_bundle(dataset, f"{name}-{PLAIN}", needs=set(), metrics=False)
    epsilon = float(read_card(ASSETS / dataset / "robust.safetensors")["epsilon"])
    assert bundle.robust is not None
    kinds = {"robust": bundle.robust, "explained": bundle.explained, "plain": plain.explained}
    x = dequantise(torch.stack([images[index].image for index in range(SHOWN)]))
    target = bundle.explained.decide(x).target
    columns = {"input": x} | {
        kind: ascend(classifier, x, target, ASCENT * epsilon) for kind, classifier in kinds.items()
    }
    tiles = [(head, quantise(columns[head][row])) for row in range(SHOWN) for head in columns]
    return example_sheet(tiles, columns=2 * len(columns))


def ascend(classifier: TargetClassifier, x: Tensor, target: Tensor, length: float) -> Tensor:
    """Images moved up log p(target) in steps of equal length, clipped to [-1, 1].

    length: of all steps together, on [0, 1].
    """
    guidance = Guidance(classifier, torch.zeros(len(x)), lambda_perceptual=0).bind(x, target)
    moved = x
    for _ in range(STEPS):
        gradient = guidance.log_prob_gradient(moved, classifier)
        moved = (moved + 2 * length / STEPS * unit(gradient)).clamp(-1, 1)
    return moved
