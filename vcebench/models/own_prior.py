"""What a method walks on in somebody's own task.

A prior that was trained here, of diffusers, or of guided-diffusion; or a bridge trained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.diffusers_prior import load_diffusers
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.own_classifier import fill_strictly
from vcebench.models.shipped import bridge_of, load_network
from vcebench.models.unet import UNet
from vcebench.settings.parts import BridgePart, PriorPart
from vcebench.weights.entries import choose
from vcebench.weights.reading import load_file_safely
from vcebench.weights.shipped import NetworkFileError


@dataclass(frozen=True, eq=False)
class LoadedPrior:
    """A prior as it was loaded.

    Attributes:
        prior: in evaluation mode.
        name: for tables.
        notes: what a person should know.
        channels: of the images that it was trained on, 1 or 3.
        hashes: role → SHA-256 of what made it, where that is more than its weights.
    """

    prior: Prior
    name: str
    notes: tuple[str, ...] = ()
    channels: int = 3
    hashes: Mapping[str, str] = field(default_factory=dict)


def load_prior(part: PriorPart) -> LoadedPrior:
    """The prior that a task's file describes; raises UserError."""
    path = part.trained or part.diffusers or part.checkpoint
    assert path is not None
    notes: tuple[str, ...] = ()
    respacing = part.respacing
    if part.trained is not None:
        network, card = load_network(part.trained)
        chain = linear_chain(card, part.trained)
        steps, respacing = int(chain["steps"]), int(chain["respacing"])
    elif part.diffusers is not None:
        network, steps, notes = load_diffusers(part.diffusers)
    else:
        network, steps, notes = load_guided_diffusion(path, part.flags, part.entry)
    prior = Prior(network.eval().requires_grad_(False), linear_schedule(steps, respacing)).eval()
    return LoadedPrior(prior, path.name, notes, channels_of(network))


def linear_chain(card: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """How a prior's card describes its chain; raises NetworkFileError if it is no prior's."""
    described: Mapping[str, Any] = card.get("schedule", {})
    if described.get("name") != "linear":
        raise NetworkFileError(f"{path} is no prior: its card has no linear schedule")
    return described


def channels_of(network: nn.Module) -> int:
    """Channels of the images that a prior's network takes: those of its first convolution."""
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def load_bridge(part: BridgePart) -> LoadedPrior:
    """The bridge that a task's file describes; raises UserError."""
    network, card = load_network(part.trained)
    if "bridge" not in card:
        raise NetworkFileError(
            f"{part.trained} is no bridge; make one with `vcebench train bridge --data FOLDER`"
        )
    return LoadedPrior(bridge_of(network.requires_grad_(False), card).eval(), part.trained.name)


def load_guided_diffusion(
    path: Path, flags: Mapping[str, Any], entry: str | None = None
) -> tuple[UNet, int, tuple[str, ...]]:
    """A guided-diffusion checkpoint with the flags it was trained with: (network, T, notes)."""
    config, steps = config_from_flags(flags)
    with torch.device("meta"):
        network = UNet(config)
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    chosen = choose(load_file_safely(path), path, wanted, entry)
    fill_strictly(network, chosen.state, path, "U-Net with these flags")
    return network, steps, chosen.notes
