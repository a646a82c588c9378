"""What a data set's prior draws without guidance: inputs noised to τ and denoised again."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from vcebench.data.registry import open_dataset
from vcebench.folders.images import dequantise, quantise
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import given
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.dime import DiMEUnconditional
from vcebench.models.loading import load_bundle
from vcebench.settings.presets import preset
from vcebench.showing.pictures import example_sheet

SHOWN = 6


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
    examples = [images[index] for index in range(SHOWN)]
    x = dequantise(torch.stack([example.image for example in examples]))
    tau = preset(dataset, images.task.name).tau
    explainer, prior = DiMEUnconditional(tau=tau), given(bundle.prior)
    target = bundle.classifier.decide(x).target
    guidance = Guidance(bundle.classifier, torch.zeros(len(x)), bundle.perceptual)
    columns: dict[str, Tensor] = {"input": x}
    for seed in range(seeds):
        shape = (x.shape[1], x.shape[2], x.shape[3])
        noise = KeyedNoise(seed, dataset, [example.id for example in examples], shape)
        start = noise.draw("start", 0, 0, 0)
        columns[f"noised to {tau}"] = prior.schedule.q_sample(x, explainer.start(), start)
        drawn = explainer.explain(x, target, prior=prior, guidance=guidance, noise=noise)
        columns[f"denoised, seed {seed}"] = drawn.x_cf
    heads = ["input", f"noised to {tau}", *(f"denoised, seed {seed}" for seed in range(seeds))]
    tiles = [(head, quantise(columns[head][row])) for row in range(SHOWN) for head in heads]
    return example_sheet(tiles, columns=2 * len(heads))
