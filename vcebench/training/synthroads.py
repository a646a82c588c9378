"""Recipe of the networks for `synthroads`; under an hour on one idle core."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vcebench.data.synthroads import scm
from vcebench.data.synthroads.canvas import REGIONS
from vcebench.data.synthroads.dataset import SynthRoads
from vcebench.models.classifier import NoneOfClassifier
from vcebench.models.shipped import ASSETS, load_network
from vcebench.training import augment
from vcebench.training.bridge import HeldOut, bridge_loss, bridge_part
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part, Recipe
from vcebench.training.rendered import (
    RESPACING,
    STEPS,
    logit_loss,
    perceptual_loss,
    prior_loss,
    prior_measure,
    representation_loss,
    shaken,
    shifted,
    split_accuracies,
)
from vcebench.training.robust import logit_losses, robust_loss, robust_part
from vcebench.training.robustness import Question, floors
from vcebench.training.segments import segments_part
from vcebench.training.supervised import (
    DistortionHead,
    PerceptualTrainer,
    logit_figures,
    probabilities,
    softened,
)

CHUNK = 500

HALF = 10_000
"""From this scene of `train` on, the robust classifier learns."""

TEXT = """
Trained on driving scenes that `vcebench.data.synthroads` draws; no photograph was used. Prior,
classifier, perceptual and representation networks saw the split `train`, the oracle has scenes of
its own. Weights are float16 on disk, float32 in memory; all figures are measured on the split
`test` (2,000 scenes) after that round trip. These networks exist to exercise the benchmark; they
say nothing about real roads.
"""


@cache
def scenes(split: str, count: int) -> tuple[Tensor, Tensor]:
    """The first pictures of a split, uint8 (N, 3, 64, 128), and their causes, float32 (N, A).

    Rendered once a process: at 25 kB a scene, 20,000 of them take 490 MB.
    """
    data = SynthRoads(split=split)
    starts = range(0, count, CHUNK)
    images, causes = zip(
        *(data.batch(range(i, min(i + CHUNK, count))) for i in starts), strict=True
    )
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(
        np.concatenate(causes)
    ).float()


def labelled(split: str, count: int) -> tuple[Tensor, Tensor]:
    """As `scenes`, with the label, 1 for forward, float32 (N, 1), instead of the causes."""
    images, causes = scenes(split, count)
    return images, (causes[:, : len(scm.STOPPING)].sum(dim=1, keepdim=True) == 0).float()


@cache
def scene_maps(split: str, count: int) -> tuple[Tensor, Tensor]:
    """The first pictures of a split and their maps, uint8 (count, 64, 128)."""
    data = SynthRoads(split=split)
    return scenes(split, count)[0], torch.from_numpy(data.segments(range(count)))


def recipe() -> Recipe:
    """The parts, in the order of their use."""
    parts = (
        _prior(),
        _classifier(),
        _perceptual(),
        _representation(),
        _oracle(),
        _plain(),
        _robust(),
        _bridge(),
        _segments(),
    )
    return Recipe("synthroads", TEXT, parts)


def _prior() -> Part:
    return Part(
        name="prior",
        title="ADM U-Net, synthroads",
        summary="Diffusion prior: noise and learned variance, linear schedule of 500 steps.",
        architecture="unet",
        config={
            "model_channels": 32,
            "channel_mult": (1, 1, 2, 2, 2),
            "num_res_blocks": 1,
            "attention_factors": (16,),
            "num_heads": 2,
            "resblock_updown": False,
        },
        settings=LoopSettings(steps=2400, seed=211, learning_rate=1e-3, ema=0.998),
        loss=prior_loss(lambda: scenes("train", 20_000), batch=8),
        measure=prior_measure(lambda: scenes("test", 2_000), 250),
        facts={"schedule": {"name": "linear", "steps": STEPS, "respacing": RESPACING}},
    )


def _classifier() -> Part:
    return Part(
        name="classifier",
        title="Forward CNN, synthroads",
        summary=(
            "The classifier that is explained: one logit for forward, average pooling, trained "
            "under noise, blur and one step of an attack, so that its gradient is smooth and "
            "shows things rather than patterns."
        ),
        architecture="smooth-classifier",
        config={"outputs": 1, "widths": (16, 32, 48, 64), "grid": 4},
        settings=LoopSettings(steps=1200, seed=222, learning_rate=2e-3, ema=0.995),
        loss=logit_loss(
            lambda: labelled("train", 20_000), softened, bf16=True, smoothing=0.05, attack=4.0
        ),
        measure=split_accuracies(lambda split: labelled(split, 2_000)),
        floors={"test_accuracy": 0.95},
        facts={"unit": 1.0},
    )


def _plain() -> Part:
    return replace(
        _classifier(),
        name="classifier-plain",
        title="plain Forward CNN, synthroads",
        summary=(
            "The classifier that is explained in the task forward-slowdown-plain: data and labels "
            "of `classifier`, strided, without noise, blur and attack, so that nothing smooths its "
            "gradient."
        ),
        architecture="strided-classifier",
        settings=LoopSettings(steps=1200, seed=223, learning_rate=2e-3, ema=0.995),
        loss=logit_loss(lambda: labelled("train", 20_000), shifted),
    )


def _robust() -> Part:
    def source() -> tuple[Tensor, Tensor]:
        images, label = labelled("train", 20_000)
        return images[HALF:], label[HALF:]

    def questions() -> tuple[Question]:
        images, label = labelled("test", 512)
        return (Question(images, label[:, 0], 0, ASSETS / "synthroads/classifier.safetensors"),)

    return robust_part(
        title="robust Forward CNN, synthroads",
        summary=(
            "Guides methods that need a robust classifier. Trained on the second half of `train`."
        ),
        config={"outputs": 1, "widths": (16, 32, 48, 64), "grid": 4},
        settings=LoopSettings(
            steps=1200, seed=226, learning_rate=3e-3, weight_decay=1e-4, ema=0.995, save_every=50
        ),
        loss=robust_loss(source, logit_losses, shifted, batch=24),
        epsilon=1.5,
        questions=questions,
        floors=floors(clean=0.92, robust=0.80),
        facts={},
    )


def _perceptual() -> Part:
    return Part(
        name="perceptual",
        title="perceptual CNN, synthroads",
        summary="Features of the perceptual loss: two convolutions at each of two scales.",
        architecture="perceptual-features",
        config={"widths": (16, 32)},
        settings=LoopSettings(steps=500, seed=241, learning_rate=2e-3, ema=0.99),
        loss=perceptual_loss(lambda: scenes("train", 20_000), bf16=True),
        wrap=lambda network: PerceptualTrainer(network, len(scm.NAMES)),
        facts={"unit": 1.0},
    )


def _representation() -> Part:
    widths, grid = (16, 32, 64, 24), 2
    return Part(
        name="representation",
        title="cause and distortion network, synthroads",
        summary=(
            "Features for Fréchet distances and S3: trained to tell all causes and how strongly an "
            "image was blurred and noised."
        ),
        architecture="residual-encoder",
        config={"outputs": len(scm.NAMES), "widths": widths, "blocks": 1, "grid": grid},
        settings=LoopSettings(steps=1500, seed=251, learning_rate=2e-3, ema=0.998),
        loss=representation_loss(lambda: scenes("train", 20_000), bf16=True),
        measure=_cause_figures,
        wrap=lambda network: DistortionHead(network, widths[-1] * grid**2),
    )


def _oracle() -> Part:
    return Part(
        name="oracle",
        title="cause oracle, synthroads",
        summary=(
            "Judges all causes, independently of the classifier: other architecture, other seed, "
            "other scenes. It sees forward where it sees no cause to slow down."
        ),
        architecture="residual-encoder",
        config={"outputs": len(scm.NAMES), "widths": (16, 32, 64, 80), "blocks": 1, "grid": 4},
        settings=LoopSettings(steps=1600, seed=261, learning_rate=2e-3, ema=0.998),
        loss=logit_loss(lambda: scenes("oracle", 12_000), shaken, bf16=True),
        measure=_oracle_figures,
        floors={"test_mean_accuracy": 0.93},
        facts={"causes": list(scm.NAMES), "none_of": {scm.LABEL: list(scm.STOPPING)}},
    )


def _cause_figures(network: nn.Module) -> dict[str, Any]:
    return logit_figures(network, *scenes("test", 2_000), scm.NAMES)


def _oracle_figures(network: nn.Module) -> dict[str, Any]:
    images, label = labelled("test", 2_000)
    stops = probabilities(network, images)[:, : len(scm.STOPPING)].amax(dim=1, keepdim=True)
    right = (stops < 0.5) == label.bool()
    return {f"{scm.LABEL} accuracy": float(right.float().mean())} | _cause_figures(network)


def held_out() -> HeldOut:
    """The first 512 scenes of `test`; the oracle says whether there is a cause to slow down."""
    images, label = labelled("test", 512)
    oracle = load_network(ASSETS / "synthroads" / "oracle.safetensors")[0]
    return HeldOut(images, label[:, 0].long(), NoneOfClassifier(oracle, range(len(scm.STOPPING))))


def _bridge() -> Part:
    def open_data() -> Loss:
        images, _ = scenes("train", 20_000)
        size = (images.shape[2], images.shape[3])
        return bridge_loss(lambda g: augment.draw(images, 8, g)[0], size, seed=281)

    return bridge_part(
        dataset="synthroads",
        config=_prior().config,
        settings=LoopSettings(steps=3600, seed=281, learning_rate=8e-4, ema=0.998),
        loss=open_data,
        held_out=held_out,
        floors={"gain": 3.0},
    )


def _segments() -> Part:
    return segments_part(
        dataset="synthroads",
        regions=REGIONS,
        settings=LoopSettings(steps=3000, seed=301, learning_rate=2e-3, ema=0.998),
        batch=12,
        perceptual=ASSETS / "synthroads/perceptual.safetensors",
        pictures=lambda split: scene_maps(split, 6_000 if split == "train" else 512),
        tasks=("forward-slowdown",),
        swapped="light",
    )
