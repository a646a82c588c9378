"""The loss that trains a bridge, where it starts, and what the trained one is measured by.

References: I²SB: Image-to-Image Schrödinger Bridge (Liu et al., ICML 2023), Equation 12 and
Algorithm 1, with the loss restricted to the region as its inpainting networks are trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.folders.images import dequantise, quantise
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import Extras
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.rcsb import Inpainting
from vcebench.models.classifier import TargetClassifier
from vcebench.models.shipped import ASSETS
from vcebench.training import augment, holes
from vcebench.training.half import half
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part

STEPS = 500
"""T of the bridges trained here: levels lie where the timesteps of the priors lay."""
BRIDGE = {"steps": STEPS, "beta_max": 1.0}
"""How a card names them."""
REGIONS = 2000
NONE: dict[str, float] = {}
FOCUS, SHARE = 0.7, 0.7
AREA, MOVES, TRUNCATION = 0.3, 25, 0.6
"""Of the fills that a bridge is measured by."""

Batch = Callable[[torch.Generator], Tensor]
"""Draws a batch of images in [-1, 1], float32 with shape (B, 3, H, W)."""


class BridgeLoss:
    """Mean squared error, inside the region, of the direction from the image to the state.

    Args:
        bridge: the full chain.
        focus: part of the chain that gets `share` of the draws; a truncated walk begins there. The
            rest is uniform over the chain.
        share: part of the draws taken below `focus`.
        bf16: run the network under bfloat16 autocast; the loss itself is float32.
    """

    def __init__(
        self, bridge: Bridge, focus: float = FOCUS, share: float = SHARE, bf16: bool = False
    ) -> None:
        self.bridge, self.share, self.bf16 = bridge, share, bf16
        self.focus = round(focus * bridge.steps)
        self._std, self._image, self._corruption = (
            torch.from_numpy(values)[:, None, None, None]
            for values in (bridge.std, bridge.image, bridge.corruption)
        )

    def indices(self, count: int, generator: torch.Generator) -> Tensor:
        """Random indices of the chain, int64 with shape (count,)."""
        low = torch.randint(self.focus, (count,), generator=generator)
        uniform = torch.randint(self.bridge.steps, (count,), generator=generator)
        return torch.where(torch.rand(count, generator=generator) < self.share, low, uniform)

    def state(self, x: Tensor, region: Tensor, noise: Tensor, index: Tensor) -> Tensor:
        """Images on the bridge at these indices, float32 (B, C, H, W).

        Args:
            x: clean images in [-1, 1], with shape (B, C, H, W).
            region: where the corruption is noise, bool with shape (B, 1, H, W); elsewhere it is x.
            noise: standard normal, with the shape of x.
            index: indices of the chain, int64 with shape (B,).
        """
        corrupted = torch.where(region, noise, x)
        return (self._image[index] * x + self._corruption[index] * corrupted).float()

    def direction(self, x: Tensor, z: Tensor, index: Tensor) -> Tensor:
        """What the network has to find: (z - x)/√F, float32 (B, C, H, W)."""
        return ((z - x) / self._std[index]).float()

    def value(
        self, network: nn.Module, x: Tensor, region: Tensor, noise: Tensor, index: Tensor
    ) -> Tensor:
        """Loss of given images, regions, noise and indices (see `state`), a scalar."""
        z = self.state(x, region, noise, index).contiguous(memory_format=torch.channels_last)
        with half(self.bf16):
            found = network(z, self.bridge.levels[index])
        wrong: Tensor = region * (found.float() - self.direction(x, z, index))
        return wrong.square().mean()

    def __call__(
        self, network: nn.Module, x: Tensor, region: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Loss of a batch at random indices and with random noise."""
        index = self.indices(len(x), generator)
        return self.value(network, x, region, torch.randn(x.shape, generator=generator), index)


def bridge_loss(batch: Batch, size: tuple[int, int], seed: int, bf16: bool = True) -> Loss:
    """The loss of a training step: a batch of images, each with a region of a fixed library."""
    regions = holes.library(*size, REGIONS, seed)
    bridge = BridgeLoss(Bridge(STEPS), bf16=bf16)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        x = batch(generator)
        chosen = torch.randint(len(regions), (len(x),), generator=generator)
        return bridge(network, x, regions[chosen], generator)

    return loss


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a bridge is measured on.

    Attributes:
        images: uint8 pictures that no network here was trained on, with shape (N, 3, H, W).
        labels: their classes, int64 with shape (N,).
        judge: the data set's oracle, asked for these classes.
    """

    images: Tensor
    labels: Tensor
    judge: TargetClassifier


def bridge_figures(network: nn.Module, start: nn.Module, held_out: HeldOut) -> dict[str, Any]:
    """How well a bridge finds the image, against the weights its training began with; its fills.

    Args:
        network: the trained bridge.
        start: the bridge before its first step.
        held_out: what it is measured on.

    Returns:
        `x0_error`, mean |x̂0 - x| on [-1, 1] inside regions of cells at index 150 of 500; `gain`,
        how many times as large that error was at the start; `label_kept`, share of unguided fills
        of three tenths of the image in which the oracle sees the image's label, and `label_seen`,
        the same of the images themselves.
    """
    images = held_out.images
    error, before = x0_error(network, images), x0_error(start.eval(), images)
    seen, kept = labels_seen(network, held_out)
    return {"x0_error": error, "gain": before / error, "label_seen": seen, "label_kept": kept}


def labels_seen(network: nn.Module, held_out: HeldOut, batch: int = 64) -> tuple[float, float]:
    """Share of images, and of their unguided fills as stored, in which the oracle sees the label.

    Fills are walks of 25 moves from truncation .6 inside random cells of three tenths of the image.
    """
    images, labels, judge = held_out.images, held_out.labels, held_out.judge
    height, width = images.shape[2:]
    regions = holes.cell_library(height, width, len(images), seed=0, area=AREA)
    method = Inpainting(moves=MOVES, truncation=TRUNCATION)
    prior = BridgePrior(network, Bridge(STEPS))
    ids = [str(k) for k in range(len(images))]
    seen = kept = 0
    for first in range(0, len(images), batch):
        rows = slice(first, first + batch)
        x, label = augment.to_network(images[rows]), labels[rows]
        found = method.explain(
            x,
            label,
            prior=prior,
            guidance=Guidance(judge, torch.zeros(len(x)), lambda_perceptual=0),
            noise=KeyedNoise(0, "fills", ids[rows], (3, height, width)),
            extras=Extras(region=regions[rows]),
        )
        seen += int((judge.predict(x) == label).sum())
        kept += int((judge.predict(dequantise(quantise(found.x_cf))) == label).sum())
    return seen / len(images), kept / len(images)


def x0_error(network: nn.Module, images: Tensor, index: int = 150, batch: int = 128) -> float:
    """Mean |x̂0 - x| on [-1, 1] inside cells of a region, at an index of the chain.

    Args:
        network: (z, level) → direction.
        images: held-out uint8 images, with shape (N, 3, H, W).
        index: where on the bridge.
    """
    bridge = BridgeLoss(Bridge(STEPS))
    x = augment.to_network(images)
    height, width = x.shape[2:]
    regions = holes.cell_library(height, width, len(x), seed=0, area=None)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    where = torch.full((len(x),), index)
    z = bridge.state(x, regions, noise, where)
    levels = bridge.bridge.levels[where]
    starts = range(0, len(x), batch)
    found = torch.cat([network(z[k : k + batch], levels[k : k + batch]) for k in starts])
    error = (z - float(bridge.bridge.std[index]) * found - x).abs()
    return float(error[regions.expand_as(error)].mean())


def bridge_part(
    dataset: str,
    config: dict[str, Any],
    settings: LoopSettings,
    loss: Callable[[], Loss],
    held_out: Callable[[], HeldOut],
    *,
    floors: dict[str, float] = NONE,
    ceilings: dict[str, float] = NONE,
) -> Part:
    """The bridge of an embedded data set, begun from its shipped prior.

    Args:
        config: of the U-Net; three output channels are added.
        loss: opens the data, see `bridge_loss`.
        held_out: opens what it is measured on.
        floors, ceilings: of its figures, besides that of the labels in fills.
    """
    part = Part(
        name="bridge",
        title=f"inpainting bridge, {dataset}",
        summary=(
            "Bridge from an image to noise inside a region (I²SB without noise on the way): finds "
            "the direction from the image to the state. Learnt on regions of brush strokes and of "
            "cells, 5 to 35 % of an image; not told where the region is."
        ),
        architecture="unet",
        config=config | {"out_channels": 3},
        settings=settings,
        loss=loss,
        measure=lambda network: bridge_figures(network, part.initial()[0], held_out()),
        begin=ASSETS / dataset / "prior.safetensors",
        facts={"bridge": BRIDGE},
        floors={"label_kept": 0.9, **floors},
        ceilings=ceilings,
    )
    return part
