"""The guidance unit of an embedded classifier: what makes s = 8 and λ_c = 8 its preset.

    python -m vcebench.training.calibrate synthfaces smile --folder vcebench/assets/synthfaces
    python -m vcebench.training.calibrate synthroads forward-slowdown --wanted 0.96 --folder ...

Classifiers differ in how steep their logits are, so one guidance scale does not fit all. The unit
is a factor inside L_class, stored in the classifier's card: the smallest of a geometric grid at
which MaskDiME, with the preset's settings and without retries, flips the wanted share of `val`
images. The factor inside L_perc keeps the perceptual gradient at a fixed share of the class
gradient on the same images; it is set with the first task and kept for the others. Probabilities,
flip rate and COUT never see a unit.

A classifier that knows nothing of the task (`--classifier random`, for the sanity check) is not
asked to flip: its unit gives its gradient the length that the task's own has.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vcebench.data.registry import open_dataset
from vcebench.folders.images import dequantise, quantise
from vcebench.methods import registry
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import given
from vcebench.methods.core.noise import KeyedNoise
from vcebench.models.bundle import Bundle
from vcebench.models.loading import load_bundle
from vcebench.models.shipped import FILES
from vcebench.settings.config import LADDER
from vcebench.settings.presets import preset
from vcebench.weights.shipped import update_card

CHUNK = 8
"""Images explained at a time; a unit is given up once too many of them have not flipped."""

GRID = tuple(2.0**k for k in range(-5, 4))
PERCEPTUAL_SHARE = 0.1


@dataclass(frozen=True)
class Trial:
    """What a unit does on the calibration images.

    Attributes:
        unit: factor inside L_class.
        flipped: share of images flipped at λ_c = 8.
        l1: mean absolute change on [0, 1].
        images: how many were explained.
    """

    unit: float
    flipped: float
    l1: float
    images: int


@dataclass(frozen=True)
class Images:
    """Calibration images in [-1, 1], (B, 3, H, W), with ids, target and source classes."""

    x: Tensor
    ids: list[str]
    target: Tensor
    source: Tensor

    def part(self, first: int, count: int) -> Images:
        """Some of them, from the first one on."""
        where = slice(first, first + count)
        return Images(self.x[where], self.ids[where], self.target[where], self.source[where])


def load_images(dataset: str, task: str, bundle: Bundle, count: int) -> Images:
    """The first `count` images of the task's `val` split."""
    data = open_dataset(dataset, task, split="val")
    examples = [data[i] for i in range(count)]
    x = dequantise(torch.stack([e.image for e in examples]))
    decision = bundle.explained.decide(x)
    return Images(x, [e.id for e in examples], decision.target, decision.source)


def perceptual_ratio(bundle: Bundle, images: Images, index: int = 30) -> float:
    """Norm of the class gradient over that of the perceptual one, both with unit 1.

    Taken at the one-step estimate from respaced index `index`, half way through the loop.
    """
    guidance = _guidance(bundle, images, 1.0, 1.0).bind(images.x, images.target)
    x0 = _estimate(bundle, images, index)
    ratio = _norms(guidance.class_gradient(x0)) / _norms(guidance.perceptual_gradient(x0))
    return float(ratio.median())


def _estimate(bundle: Bundle, images: Images, index: int) -> Tensor:
    noise = _noise(images).draw("start", 0)
    prior = given(bundle.prior)
    z = prior.schedule.q_sample(images.x, index, noise)
    return prior.posterior(z, index).x0


def attempt(
    bundle: Bundle, images: Images, dataset: str, task: str, unit: float, perceptual: float
) -> Trial:
    """MaskDiME with the task's preset, one try at λ_c = 8."""
    method = registry.method("maskdime", **preset(dataset, task).settings())
    found = method.explain(
        images.x,
        images.target,
        prior=bundle.prior,
        guidance=_guidance(bundle, images, unit, perceptual),
        noise=_noise(images),
    )
    stored = dequantise(quantise(found.x_cf))
    margin = bundle.explained.margin(stored, images.target, images.source)
    change = (stored - images.x).abs().mean() / 2
    return Trial(unit, float((margin > 0).float().mean()), float(change), len(images.x))


def attempt_until(
    bundle: Bundle,
    images: Images,
    dataset: str,
    task: str,
    unit: float,
    perceptual: float,
    wanted: float,
) -> Trial:
    """The same in chunks, given up once the wanted share cannot be reached any more."""
    total, seen, flips, change = len(images.x), 0, 0.0, 0.0
    while seen < total and seen - flips <= (1 - wanted) * total + 1e-9:
        some = images.part(seen, CHUNK)
        found = attempt(bundle, some, dataset, task, unit, perceptual)
        seen += found.images
        flips += found.flipped * found.images
        change += found.l1 * found.images
    return Trial(unit, flips / seen, change / seen, seen)


def calibrate(
    dataset: str, task: str, folder: Path, count: int = 32, wanted: float = 0.97, first: bool = True
) -> Trial:
    """Find the unit of a task's classifier and write it into the cards in `folder`.

    Args:
        dataset, task: names.
        folder: network files.
        count: images of `val` to use.
        wanted: share of them that must flip at λ_c = 8.
        first: also set the perceptual unit; without it the stored one is kept.

    Raises:
        ValueError: no unit of the grid flips enough images.
    """
    bundle = load_bundle(dataset, task, folder=folder)
    images = load_images(dataset, task, bundle, count)
    ratio = perceptual_ratio(bundle, images)
    for unit in GRID:
        perceptual = PERCEPTUAL_SHARE * ratio * unit if first else bundle.perceptual_unit
        trial = attempt_until(bundle, images, dataset, task, unit, perceptual, wanted)
        print(f"{task}: {trial}", file=sys.stderr, flush=True)
        if trial.flipped >= wanted:
            files = FILES[dataset]
            classifier = folder / f"{files.explained(task)}.safetensors"
            update_card(classifier, unit=unit)
            if first:
                update_card(folder / f"{files.perceptual}.safetensors", unit=perceptual)
            return trial
    raise ValueError(f"no unit in {GRID} flips {wanted:.0%} of the images of {dataset} {task}")


@torch.no_grad()
def match(
    dataset: str, task: str, classifier: str, folder: Path, count: int = 32, index: int = 30
) -> float:
    """Find the unit of a classifier that knows nothing of the task, and write it into its card.

    Args:
        dataset, task: names.
        classifier: which one, see `vcebench.models.bundle.IGNORANT`.
        folder: network files.
        count: images of `val` to use.
        index: respaced index of the one-step estimate where gradients are taken.

    Returns:
        The unit: median length of the gradient of the task's own classifier, times its unit, over
        that of this one.
    """
    own = load_bundle(dataset, task, folder=folder)
    other = load_bundle(dataset, task, folder=folder, classifier=classifier)
    images = load_images(dataset, task, own, count)
    x0 = _estimate(own, images, index)
    lengths = [
        _norms(
            _guidance(b, images, b.class_unit, 0.0).bind(images.x, images.target).class_gradient(x0)
        ).median()
        for b in (own, replace(other, class_unit=1.0))
    ]
    unit = float(lengths[0] / lengths[1])
    name = FILES[dataset].explained(task)
    update_card(folder / f"{name}-{classifier}.safetensors", unit=unit)
    return unit


def _guidance(bundle: Bundle, images: Images, unit: float, perceptual: float) -> Guidance:
    return Guidance(
        bundle.explained,
        torch.full((len(images.x),), LADDER[0]),
        bundle.perceptual,
        source=images.source,
        class_unit=unit,
        perceptual_unit=perceptual,
    )


def _noise(images: Images) -> KeyedNoise:
    _, channels, height, width = images.x.shape
    return KeyedNoise(0, "calibration", images.ids, (channels, height, width))


def _norms(gradient: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return norms


def main() -> None:
    """Parse and calibrate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset")
    parser.add_argument("task")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the network files")
    parser.add_argument("--images", type=int, default=32, help="images of val to use")
    parser.add_argument("--wanted", type=float, default=0.97, help="share that must flip")
    parser.add_argument(
        "--keep-perceptual", action="store_true", help="keep the perceptual unit that is stored"
    )
    parser.add_argument(
        "--classifier", default="task", help="one that knows nothing of the task: random, permuted"
    )
    arguments = parser.parse_args()
    if arguments.classifier != "task":
        names = (arguments.dataset, arguments.task, arguments.classifier)
        print(f"unit {match(*names, arguments.folder, arguments.images):g}")
        return
    trial = calibrate(
        arguments.dataset,
        arguments.task,
        arguments.folder,
        arguments.images,
        arguments.wanted,
        first=not arguments.keep_perceptual,
    )
    print(f"unit {trial.unit:g}: {trial.flipped:.1%} flipped, mean change {trial.l1:.4f}")


if __name__ == "__main__":
    main()
