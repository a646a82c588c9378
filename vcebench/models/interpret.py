"""A network of somebody's own behind the interface of the methods, by what it says of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.errors import UserError, one_line
from vcebench.models.classifier import BinaryClassifier, MulticlassClassifier, TargetClassifier

_SMALLEST = 1e-7
"""Probabilities are cut off here before their logarithm is taken."""

_SUM = 1e-3
"""How far a row of probabilities may be from 1, in half precision."""

_STRONGER = (1.0, 10.0, 100.0)
"""Factors of the patterns that are shown to a network: what ends in a sigmoid stays in [0, 1]."""

_SIGMOID, _SOFTMAX = "sigmoid", "softmax"

_CURES = 'hand over the network without it, or say outputs = "probabilities"'
_PRECISION = "their logarithm guides, which loses precision where they are close to 0 or 1"


class FromProbabilities(nn.Module):
    """Logits of a network that gives probabilities: log p of several, log p/(1-p) of one.

    Args:
        network: (B, 3, H, W) → (B, K), (B, 1) or (B,), in [0, 1].
        single: the outputs are independent probabilities, not those of K classes.
    """

    def __init__(self, network: nn.Module, single: bool) -> None:
        super().__init__()
        self.network = network
        self.single = single

    def forward(self, x: Tensor) -> Tensor:
        """x: images in [-1, 1] with shape (B, 3, H, W)."""
        p = self.network(x).float().clamp(_SMALLEST, 1 - _SMALLEST)
        return torch.logit(p) if self.single else p.log()


@dataclass(frozen=True, eq=False)
class Interpreted:
    """A network as a classifier, and what a person should know about how it was read."""

    classifier: TargetClassifier
    notes: tuple[str, ...] = ()


@torch.no_grad()
def interpret(
    network: nn.Module,
    x: Tensor,
    index: int | None = None,
    meaning: str | None = None,
) -> Interpreted:
    """The classifier that a network is.

    Outputs that sum to 1 for whatever image are probabilities beyond doubt: their logarithm is
    taken, and said. Others that never leave [0, 1] are refused until somebody says what they are.

    Args:
        network: images in [-1, 1], (B, 3, H, W), to logits (B,), (B, 1) or (B, K), or to
            probabilities of that shape.
        x: two images or more of the size wanted, on the network's device.
        index: column of a network with several independent outputs.
        meaning: "logits" or "probabilities", if somebody says it.

    Raises:
        UserError: the network fails on images of this size, returns something else, or what its
            outputs mean is not clear.
    """
    shape = shape_of(network, x)
    single = index is not None or len(shape) == 1 or shape[1] == 1
    if index is not None and (len(shape) != 2 or index >= shape[1]):
        raise UserError(f"classifier.index is {index}, but {len(x)} images give {shape}")
    notes: tuple[str, ...] = ()
    if meaning != "logits":
        ending = _ending(network, x, index)
        taken = (_SIGMOID,) if single else (_SOFTMAX,)
        if meaning == "probabilities" and ending not in taken:
            raise UserError(
                "the outputs are said to be probabilities, but leave [0, 1] or do not sum to 1 "
                'for every image; leave outputs = "probabilities" away'
            )
        if ending is not None and meaning is None and ending != _SOFTMAX:
            raise UserError(
                f"the classifier's outputs never leave [0, 1]: is there a {ending} at the end? "
                f"Logits are needed, probabilities would give wrong margins; {_CURES} "
                '(outputs = "logits" if they are logits after all)'
            )
        if ending in taken:
            network = FromProbabilities(network, single)
            cures = "" if meaning else f"; {_CURES.replace('it,', f'its {ending},')}"
            notes = (f"the classifier gives probabilities: {_PRECISION}{cures}",)
    reading = BinaryClassifier(network, index=index) if single else MulticlassClassifier(network)
    return Interpreted(reading.eval(), notes)


def shape_of(network: nn.Module, x: Tensor) -> tuple[int, ...]:
    """Shape of the outputs for some images, (B,) or (B, K); the same kind for one image alone.

    Raises UserError: it fails, or the shape is another one.
    """
    many, alone = outputs_of(network, x), outputs_of(network, x[:1])
    shape, first = tuple(many.shape), tuple(alone.shape)
    if len(shape) not in (1, 2) or shape[0] != len(x) or 0 in shape:
        raise UserError(
            f"the classifier gives {shape} for {len(x)} images; it must return logits with shape "
            "(B,), (B, 1) or (B, K)"
        )
    if first != (1, *shape[1:]):
        raise UserError(
            f"the classifier gives {shape} for {len(x)} images but {first} for one; take the "
            "squeeze out, or write flatten(1) for it"
        )
    return shape


def outputs_of(network: nn.Module, x: Tensor) -> Tensor:
    """What a classifier says of images with shape (B, 3, H, W). Raises UserError if it fails."""
    before = x.clone()
    try:
        out: Any = network(x)
    except Exception as error:  # it is somebody's own code: anything can happen in it
        text = one_line(error)[:300]
        hint = "; say channels = 1 beside it" if "to have 1 channels" in text else ""
        raise UserError(
            f"the classifier fails on images of shape {tuple(x.shape)} in [-1, 1]: {text}{hint}"
        ) from error
    if not isinstance(out, Tensor) or not out.is_floating_point():
        what = f"{out.dtype}" if isinstance(out, Tensor) else type(out).__name__
        raise UserError(
            f"the classifier returns {what}; it must return logits, a floating-point tensor"
        )
    if not torch.equal(x, before):
        raise UserError(
            "the classifier changes the images it is given, in place; make it write into new "
            "tensors (x = x - mean, not x -= mean)"
        )
    return out


def _ending(network: nn.Module, x: Tensor, index: int | None) -> str | None:
    """The function that outputs look like having been through; None for logits."""
    out = torch.cat([outputs_of(network, p).float() for p in _patterns(x)])
    if index is not None:
        out = out[:, index]
    if not bool(((out >= 0) & (out <= 1)).all()):
        return None
    several = out.ndim == 2 and out.shape[1] > 1
    return _SOFTMAX if several and bool(((out.sum(dim=1) - 1).abs() < _SUM).all()) else _SIGMOID


def _patterns(x: Tensor) -> list[Tensor]:
    """Images, and noise, black and white of growing strength, each with the shape of the images."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=generator).to(x)
    flat = torch.ones_like(x)
    return [x, *(sign * s * p for p in (noise, flat) for s in _STRONGER for sign in (1, -1))]
