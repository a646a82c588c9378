"""How robust a classifier is: accuracy under attack, and signs that it does not hide its gradient.

Radii are as in `vcebench.training.robust`. The attacks are those of the Adversarial Robustness
Toolbox (Nicolae et al., 2018): of the libraries with an L2 attack it is the one that is released
regularly, needs nothing that this package does not have, and is used beyond its authors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.errors import UserError
from vcebench.folders.images import dequantise
from vcebench.models.shipped import load_network

Figures = dict[str, Any]

LONG, CERTAIN = 20, 100
"""Steps of the attack, and of the one that shows whether more steps find more."""

SOME = 64
"""Pictures of the latter."""

MASKING = {"lost_at_2eps": 0.05, "wrong_at_8eps": 0.85, "pgd100_minus_pgd20": -0.02}
"""Floors against a network that only hides its gradient."""


class _TwoClasses(nn.Module):
    """Pictures on [0, 1] to logits of classes: a single logit f stands for (0, f)."""

    def __init__(self, network: nn.Module, column: int | None) -> None:
        super().__init__()
        self.network = network
        self.column = column

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(2 * x - 1)
        if self.column is None:
            return logits
        logit = logits[:, self.column]
        return torch.stack([torch.zeros_like(logit), logit], dim=1)


def under_attack(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilon: float,
    steps: int,
    column: int | None = None,
) -> Tensor:
    """Whether a network still says the label after projected gradient ascent: bool, (N,).

    Measured with the attack of the Adversarial Robustness Toolbox: steps of 2.5 ε / steps from a
    random point of the ball, as Madry et al. do.

    Args:
        network: pictures in [-1, 1] → logits.
        images: uint8 with shape (N, 3, H, W).
        labels: true classes, (N,).
        column: the logit that decides between class 0 and 1; None for a class among many.

    Raises UserError if the toolbox is not installed.
    """
    try:
        from art.attacks.evasion import ProjectedGradientDescent  # type: ignore[import-untyped]
        from art.estimators.classification import PyTorchClassifier  # type: ignore[import-untyped]
    except ImportError as error:
        raise UserError(
            "robustness is measured with the Adversarial Robustness Toolbox: "
            "pip install 'vcebench[robust]'"
        ) from error
    x = images.numpy().astype(np.float32) / 255
    wanted = labels.numpy().astype(np.int64)
    judged = _TwoClasses(network, column)
    with torch.no_grad():
        classes = judged(torch.from_numpy(x[:1])).shape[1]
    classifier = PyTorchClassifier(
        judged,
        loss=nn.CrossEntropyLoss(),
        input_shape=x.shape[1:],
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    attack = ProjectedGradientDescent(
        classifier,
        norm=2,
        eps=epsilon,
        eps_step=2.5 * epsilon / steps,
        max_iter=steps,
        num_random_init=1,
        batch_size=64,
        verbose=False,
    )
    before = np.random.get_state()
    try:
        np.random.seed(0)  # the toolbox draws its random start from numpy's global state
        with torch.enable_grad():
            moved = attack.generate(x, wanted)
    finally:
        np.random.set_state(before)
    found = classifier.predict(moved.astype(np.float32), batch_size=64).argmax(axis=1)
    return torch.from_numpy(found == wanted)


def robustness(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilon: float,
    column: int | None = None,
    certain: int = SOME,
) -> dict[str, float]:
    """How often a network is right under attack, and signs that the attack is not blinded.

    A network that hides its gradient looks robust: then more steps or a larger ball find what the
    attack did not (Athalye et al., 2018, Section 3.1).

    Args:
        images, labels: see `under_attack`.
        certain: pictures of the long attack.

    Returns:
        `clean`, accuracy without an attack; `pgd20`, at ε; `lost_at_2eps`, how much less at 2 ε;
        `wrong_at_8eps`, share of errors there; `pgd100_minus_pgd20`, on the first pictures.
    """

    def share(radius: float, steps: int, count: int | None = None) -> float:
        some, wanted = images[:count], labels[:count]
        return float(under_attack(network, some, wanted, radius, steps, column).float().mean())

    at_epsilon = share(epsilon, LONG)
    judged = _TwoClasses(network, column)(dequantise(images) / 2 + 0.5)
    return {
        "clean": float((judged.argmax(dim=1) == labels).float().mean()),
        "pgd20": at_epsilon,
        "lost_at_2eps": at_epsilon - share(2 * epsilon, LONG),
        "wrong_at_8eps": 1 - share(8 * epsilon, LONG),
        "pgd100_minus_pgd20": share(epsilon, CERTAIN, certain) - share(epsilon, LONG, certain),
    }


@dataclass(frozen=True)
class Question:
    """One thing a network decides, and pictures to ask it about.

    Attributes:
        images, labels, column: see `under_attack`.
        prefix: what its figures begin with, for a network of several questions.
        explained: the shipped classifier that is explained in this task, and its column.
    """

    images: Tensor
    labels: Tensor
    column: int | None
    explained: Path
    prefix: str = ""


def robust_figures(network: nn.Module, questions: Sequence[Question], epsilon: float) -> Figures:
    """Robustness, and the angle to the explained classifier's gradient, of every question."""
    figures: Figures = {}
    for question in questions:
        images, labels, column = question.images, question.labels, question.column
        found = robustness(network, images, labels, epsilon, column)
        explained, _ = load_network(question.explained)
        # A classifier of one task has one logit, the robust one perhaps several.
        other = _TwoClasses(explained, None if column is None else 0)
        own = _gradient(_TwoClasses(network, column), images[:SOME], labels)
        angles = _angle(own, _gradient(other, images[:SOME], labels))
        found["degrees_to_explained"] = float(angles.median())
        figures |= {f"{question.prefix}{key}": value for key, value in found.items()}
    return figures


def floors(clean: float, robust: float, prefixes: Sequence[str] = ("",)) -> dict[str, float]:
    """What a hardened network has to reach: accuracy without and with the attack, no hiding."""
    wanted = {"clean": clean, "pgd20": robust, **MASKING}
    return {f"{prefix}{key}": value for prefix in prefixes for key, value in wanted.items()}


def _gradient(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the log-probability of the labels at uint8 images, (B, 3·H·W)."""
    with torch.enable_grad():
        x = (dequantise(images) / 2 + 0.5).requires_grad_()
        right = -F.cross_entropy(network(x), labels[: len(x)].long(), reduction="sum")
        (gradient,) = torch.autograd.grad(right, x)
    return gradient.flatten(1)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """Degrees between rows of a and b, (B, D) each."""
    return torch.rad2deg(F.cosine_similarity(a, b, dim=1).clamp(-1, 1).arccos())
