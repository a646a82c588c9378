"""How good a prior of somebody's own images is: pictures while it learns, figures at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scipy import stats
from torch import Tensor, nn

from vcebench.data.registry import open_dataset
from vcebench.data.spread import spread
from vcebench.folders.images import dequantise, quantise, write_atomic
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.sampler import chain
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.classifier import TargetClassifier
from vcebench.models.shipped import ASSETS, load_network
from vcebench.training.own_plan import Judge

RESPACING = 200
"""Steps that methods walk on."""

LEVELS = (10, 30, 60, 100, 150, 190)
"""Those of them at which errors are measured; editing starts at 60 by default."""

MEASURED, SHOWN, JUDGED = 64, 6, 256
"""Images that a prior is measured and drawn on, and those that a classifier is asked about."""

WANTED = 0.95
"""Share of reconstructions that has to keep its class."""

_BATCH = 16
_COARSE = 50
"""Steps that pictures are drawn in: a quarter, so that drawing one takes seconds."""


Draw = Callable[[Mapping[str, Sequence[Tensor]]], bytes]
"""Makes a PNG file of columns of images, uint8 (3, H, W), by their heading."""


@dataclass(frozen=True, eq=False)
class Watch:
    """Draws what a prior makes of noise, and of images noised as for editing and denoised.

    Attributes:
        x: images in [-1, 1], (B, C, H, W).
        chain: T of the training.
        place: the picture.
        draw: makes it.
        tau: index of the chain of 200 that editing starts at.
    """

    x: Tensor
    chain: int
    place: Path
    draw: Draw
    tau: int = 60

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> None:
        """Write the picture of a network in evaluation mode."""
        prior = Prior(network, linear_schedule(self.chain, _COARSE))
        x = self.x.to(next(network.parameters()).device)
        columns = {
            "image": x,
            f"from step {self.tau}": _denoised(prior, x, self.tau * _COARSE // RESPACING),
            "from noise": _denoised(prior, x, _COARSE),
        }
        shown = {name: [*quantise(_rgb(images)).cpu()] for name, images in columns.items()}
        self.place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.place, self.draw(shown))


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1)


def _denoised(prior: Prior, x: Tensor, steps: int) -> Tensor:
    """Images noised to a step and denoised without guidance, always with the same noise."""
    generator = torch.Generator().manual_seed(0)

    def noise() -> Tensor:
        return torch.randn(x.shape, generator=generator).to(x.device)

    z = noise() if steps == len(prior.schedule) else prior.schedule.q_sample(x, steps - 1, noise())
    return chain(prior, z, steps, lambda n: noise())


def figures(
    network: nn.Module, chain: int, x: Tensor, unseen: bool, judge: Judge | None
) -> dict[str, Any]:
    """What a prior's card says of it.

    Args:
        network, chain: the prior, and T of its training.
        x: images in [-1, 1], (B, C, H, W), where the network is.
        unseen: whether it learned without them.
        judge: says whether images keep their class; None where there is none.
    """
    some = x[spread(len(x), MEASURED)]
    found = {"noise_mse": denoising_errors(network, some, chain), "images": len(some)}
    found["unseen"] = unseen
    if judge is None:
        return found
    same = kept(network, chain, judge.classifier, x, judge.tau)
    share = float(same.float().mean())
    return {
        **found,
        "kept": share,
        "kept_of": len(same),
        "kept_interval": _interval(share, len(same)),
        "tau": judge.tau,
    }


def _interval(share: float, count: int) -> list[float]:
    """95 % interval of a share of `count` images (Wilson, 1927)."""
    found = stats.binomtest(round(share * count), count).proportion_ci(method="wilson")
    return [float(found.low), float(found.high)]


@torch.no_grad()
def kept(
    network: nn.Module, chain: int, classifier: TargetClassifier, x: Tensor, tau: int
) -> Tensor:
    """Whether images keep their class when they are noised to τ and denoised, bool (B,).

    Args:
        network, chain: the prior, and T of its training.
        classifier: of three channels, on the CPU.
        x: images in [-1, 1], (B, C, H, W), where the prior is.
        tau: index of the chain of 200.
    """
    prior = Prior(network, linear_schedule(chain, RESPACING))
    same = []
    for start in range(0, len(x), _BATCH):
        some = x[start : start + _BATCH]
        images = torch.stack([_rgb(some), _rgb(_denoised(prior, some, tau))]).cpu()
        before, after = (classifier.predict(dequantise(quantise(one))) for one in images)
        same.append(before == after)
    return torch.cat(same)


@torch.no_grad()
def denoising_errors(network: nn.Module, x: Tensor, chain: int) -> dict[str, float]:
    """Mean squared error of the predicted noise, by index of the chain of 200.

    1 is what predicting nothing gives. It depends on the images: details are lost first.

    Args:
        network: (z, t) → noise, and perhaps variance.
        x: images in [-1, 1], (B, C, H, W), where the network is.
        chain: T of the network's training.
    """
    schedule = linear_schedule(chain, RESPACING)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    errors = {}
    for i in LEVELS:
        z = schedule.q_sample(x, i, noise)
        t = torch.full((len(x),), int(schedule.timestep_map[i]), device=x.device)
        starts = range(0, len(x), _BATCH)
        predicted = torch.cat([network(z[k : k + _BATCH], t[k : k + _BATCH]) for k in starts])
        errors[str(i)] = float((predicted[:, : x.shape[1]] - noise).square().mean())
    return errors


def shipped_errors(size: tuple[int, int]) -> tuple[str, dict[str, float]]:
    """Name and errors of the shipped prior of images about as large, on its own images."""
    name = "digits" if max(size) <= 48 else "synthfaces"
    network, card = load_network(ASSETS / name / "prior.safetensors")
    images = open_dataset(name, None, "val")
    some = [images[index].image for index in spread(len(images), MEASURED)]
    return name, denoising_errors(network, dequantise(torch.stack(some)), card["schedule"]["steps"])


def lines_on(measured: Mapping[str, Any], size: tuple[int, int]) -> list[str]:
    """What the figures of a prior say, for people."""
    name, usual = shipped_errors(size)
    own = sorted(measured["noise_mse"].items(), key=lambda entry: int(entry[0]))
    lines = [
        "error of the noise it finds, at step "
        + ", ".join(f"{step}: {error:.3f} ({usual[step]:.3f})" for step, error in own)
        + f"; in brackets the shipped prior of {name} on its own images"
    ]
    if (share := measured.get("kept")) is not None:
        # Cards of earlier builds know one number of images, all of them learned from.
        count = measured.get("kept_of", measured["images"])
        whose = "has not seen" if measured.get("unseen") else "learned from"
        low, high = _interval(share, count)
        lines.append(
            f"{share:.1%} ({low:.1%} … {high:.1%}) of {count} images that it {whose} "
            f"keep their class when they are noised to step {measured['tau']} and denoised"
        )
        if share < WANTED:
            lines.append(
                f"that is less than {WANTED:.0%}: go on with more --steps; where these change "
                "nothing, the classes lie closer together than this noise tells apart: lower tau, "
                "or leave out the images between them"
            )
    return lines
