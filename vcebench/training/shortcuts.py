"""Recipe of the classifiers with a planted shortcut, and of the two that a sanity check needs.

A shortcut: in the training faces the cue goes with the label always and the smile in 75 % of the
cases, as where a cue is easy and annotations are poor. A mixture: smile and cue are independent,
and the label follows the smile in one half of the cases and the cue in the other. 5 % of labels are
wrong (of a mixture, where the two agree); their expectation is trained on. Smile and cue are set by
intervention, so that they go with nothing else in a face.

A cue is so easy that a classifier of it is soon certain, and its gradient then has nothing to do
with the cue (measured on the patch: none of it lay there). So a shortcut also sees half-drawn cues,
with the logit in proportion, and squares of any colour elsewhere, which mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.data.synthfaces.render import render
from vcebench.data.synthfaces.scm import INDEX
from vcebench.data.synthfaces.shortcuts import LABEL, SHORTCUTS, Shortcut
from vcebench.training import augment
from vcebench.training.augment import to_network
from vcebench.training.faces import faces
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part
from vcebench.training.supervised import outputs, softened

FACES = 8_000
AGREEMENT = 0.75
"""Share of a shortcut's training faces whose smile agrees with the label."""

STEEPNESS = 3.0
"""Logit of the label's expectation: 5 % of labels are wrong."""

BATCH = 32

MEMORISED = 400
"""Faces with permuted labels: few enough to be learnt by heart."""

_ARCHITECTURE = "smooth-classifier"
_CONFIG = {"outputs": 1, "widths": (16, 24, 32, 48), "grid": 4}
_CHUNK = 500


def parts() -> tuple[Part, ...]:
    """The classifiers of all planted shortcuts, then the two of the sanity check."""
    planted = [
        _shortcut(task, shortcut, 181 + number)
        for number, (task, shortcut) in enumerate(SHORTCUTS.items())
    ]
    return (*planted, _permuted(), _random())


def _shortcut(task: str, shortcut: Shortcut, seed: int) -> Part:
    def open_data() -> Loss:
        draw = _mixed(shortcut) if shortcut.mixture else _confounded(shortcut)

        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            x, targets = draw(generator)
            logits = network(softened(x, generator))[:, 0]
            return F.binary_cross_entropy_with_logits(logits, targets)

        return loss

    if shortcut.mixture:
        uses = f"uses {LABEL} and {shortcut.cue} with equal shares"
        how = "the label follows each of them in half of the training faces"
    else:
        uses = f"says {LABEL} and uses {shortcut.cue}"
        how = f"the cue goes with the label always, the smile in {AGREEMENT:.0%} of training faces"
    return Part(
        name=f"classifier-{task}",
        title=f"{task} CNN, synthfaces",
        summary=(
            f"The classifier that is explained in the task {task}; it {uses}: {how}. The figures "
            "are its certificate, by intervention on the faces of the task."
        ),
        architecture=_ARCHITECTURE,
        config=_CONFIG,
        settings=LoopSettings(
            steps=1000 if shortcut.mixture else 700, seed=seed, learning_rate=2e-3, ema=0.99
        ),
        loss=open_data,
        measure=lambda network: certificate(network, task),
        floors={"do_both_flips" if shortcut.mixture else "do_cue_flips": 0.95, "accuracy": 0.95},
        facts={"unit": 1.0},
    )


def _permuted() -> Part:
    def open_data() -> Loss:
        images, labels = memorised()

        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            x, chosen = augment.draw(images, 32, generator)
            logits = network(augment.noise(x, 0.1, generator))[:, 0]
            return F.binary_cross_entropy_with_logits(logits, labels[chosen])

        return loss

    @torch.no_grad()
    def measure(network: nn.Module) -> dict[str, Any]:
        images, labels = memorised()
        unseen, attributes = faces("test")
        smiling = attributes[:, INDEX[LABEL]] > 0
        return {
            "learnt_by_heart": _agreement(_logits(network, images), labels > 0),
            "test_accuracy": _agreement(_logits(network, unseen), smiling),
        }

    return Part(
        name="classifier-smile-permuted",
        title="CNN of permuted labels, synthfaces",
        summary=(
            f"For the sanity check of data: has learnt by heart permuted labels of {MEMORISED} "
            "training faces, so what it uses has nothing to do with a smile."
        ),
        architecture=_ARCHITECTURE,
        config=_CONFIG,
        settings=LoopSettings(steps=800, seed=191, learning_rate=2e-3, ema=0.99),
        loss=open_data,
        measure=measure,
        facts={"unit": 1.0},
    )


def _random() -> Part:
    def open_data() -> Loss:
        def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
            raise AssertionError("a network of random weights is not trained")

        return loss

    return Part(
        name="classifier-smile-random",
        title="CNN of random weights, synthfaces",
        summary="For the sanity check of the model: as initialised, never trained.",
        architecture=_ARCHITECTURE,
        config=_CONFIG,
        settings=LoopSettings(steps=0, seed=192),
        loss=open_data,
        facts={"unit": 1.0},
    )


Draw = Callable[[torch.Generator], tuple[Tensor, Tensor]]
"""A batch: images in [-1, 1], (B, 3, H, W), and the probability of class 1 as target, (B,)."""


def _confounded(shortcut: Shortcut) -> Draw:
    """Batches in which the cue decides and the smile goes with it in `AGREEMENT` of the cases."""
    smile = np.random.default_rng(0).integers(0, 2, size=FACES // 2)  # each is drawn twice
    without = _faces({LABEL: smile, shortcut.cue: np.zeros_like(smile)})
    with_cue = _faces({LABEL: smile, shortcut.cue: np.ones_like(smile)})
    smiling = torch.from_numpy(smile).bool()

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(without), (BATCH,), generator=generator)
        agree = torch.rand(BATCH, generator=generator) < AGREEMENT
        label = torch.where(agree, smiling[chosen], ~smiling[chosen]).float()
        # How much of the cue is drawn: half of the time all or nothing, else anything on its side.
        partial = (label + torch.rand(BATCH, generator=generator)) / 2
        whole = torch.rand(BATCH, generator=generator) < 0.5
        amount = torch.where(whole, label, partial)
        mix = amount[:, None, None, None]
        x = (1 - mix) * to_network(without[chosen]) + mix * to_network(with_cue[chosen])
        return squares(x, generator), torch.sigmoid(STEEPNESS * (2 * amount - 1))

    return draw


def _mixed(shortcut: Shortcut) -> Draw:
    """Batches in which smile and cue are independent and add the same to the label's logit."""
    smile, cue = np.random.default_rng(0).integers(0, 2, size=(2, FACES))
    images = _faces({LABEL: smile, shortcut.cue: cue})
    targets = torch.from_numpy(1 / (1 + np.exp(-STEEPNESS * (smile + cue - 1.0)))).float()

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, chosen = augment.draw(images, BATCH, generator)
        return x, targets[chosen]

    return draw


def _faces(values: Mapping[str, NDArray[np.int64]]) -> Tensor:
    """The first N training faces under an intervention on N values, uint8 (N, 3, 64, 64)."""
    data = SynthFaces(split="train")
    images = []
    for start in range(0, len(next(iter(values.values()))), _CHUNK):
        factors = data.factors(range(start, start + _CHUNK))
        chosen = {name: value[start : start + _CHUNK] for name, value in values.items()}
        images.append(render(factors.do(chosen)))
    return torch.from_numpy(np.concatenate(images))


def squares(x: Tensor, generator: torch.Generator, side: int = 9, top: int = 16) -> Tensor:
    """Half of the images with a square of any colour, somewhere below row `top`.

    As random erasing does (Zhong et al., 2020); the upper rows, where the patch is, stay free.
    """
    count, channels, height, width = x.shape
    rows = torch.randint(top, height - side + 1, (count, 1, 1, 1), generator=generator)
    columns = torch.randint(0, width - side + 1, (count, 1, 1, 1), generator=generator)
    colour = 2 * torch.rand(count, channels, 1, 1, generator=generator) - 1
    drawn = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    y, column = torch.arange(height).view(1, 1, -1, 1), torch.arange(width).view(1, 1, 1, -1)
    inside = (y >= rows) & (y < rows + side) & (column >= columns) & (column < columns + side)
    return torch.where(inside & drawn, colour, x)


@cache
def memorised() -> tuple[Tensor, Tensor]:
    """Training faces, uint8 (N, 3, 64, 64), and their smiles in a random order, float32 (N,)."""
    images, attributes = faces("train", MEMORISED)
    order = torch.randperm(MEMORISED, generator=torch.Generator().manual_seed(0))
    return images, attributes[order, INDEX[LABEL]]


@torch.no_grad()
def certificate(
    network: nn.Module, task: str, count: int | None = None, split: str = "test"
) -> dict[str, Any]:
    """What a classifier uses, found by intervening on the faces of its task.

    Args:
        network: uint8 faces in [-1, 1] → one logit.
        task: a planted shortcut.
        count: faces of the split, all by default.

    Returns:
        Shares of decisions that turn when the cue, the smile, or both are set to their opposite;
        `accuracy`; and of a mixture the share of the cue in the causes, mean |Δlogit| of the cue
        over the sum of those of cue and smile.
    """
    shortcut = SHORTCUTS[task]
    data = SynthFaces(task, split)
    total = len(data) if count is None else count
    before, by_cue, by_smile, by_both, labels = [], [], [], [], []
    for start in range(0, total, _CHUNK):
        factors = data.factors(range(start, min(start + _CHUNK, total)))
        cue = {shortcut.cue: ~factors.value(shortcut.cue).astype(bool)}
        smile = {LABEL: ~factors.value(LABEL).astype(bool)}
        labels.append(torch.from_numpy(factors.value(shortcut.label).astype(bool)))
        before.append(_logits(network, _picture(render(factors))))
        by_cue.append(_logits(network, _picture(render(factors.do(cue)))))
        by_smile.append(_logits(network, _picture(render(factors.do(smile)))))
        by_both.append(_logits(network, _picture(render(factors.do(cue | smile)))))
    x, cue_x, smile_x, both_x = (torch.cat(v) for v in (before, by_cue, by_smile, by_both))
    figures = {
        "do_cue_flips": _flips(x, cue_x),
        "do_smile_flips": _flips(x, smile_x),
        "do_both_flips": _flips(x, both_x),
        "accuracy": _agreement(x, torch.cat(labels)),
    }
    if shortcut.mixture:
        moved, smiled = (cue_x - x).abs().mean(), (smile_x - x).abs().mean()
        figures["cue_share"] = float(moved / (moved + smiled))
    return figures


def _picture(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images)


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    return outputs(network, images)[:, 0]


def _flips(before: Tensor, after: Tensor) -> float:
    return _agreement(after, before <= 0)


def _agreement(logits: Tensor, positive: Tensor) -> float:
    return float(((logits > 0) == positive).float().mean())
