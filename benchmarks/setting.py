"""What the parts measure on: a task's networks, a method, a batch of tries, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vcebench.data.base import ImageSet
from vcebench.models.bundle import Bundle
from vcebench.running.assemble import networks_of, worker_of
from vcebench.running.runner import pending
from vcebench.running.tries import Try
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig
from vcebench.settings.request import Request, resolve


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        dataset: its networks and images.
        batch_size, threads: images in a batch, and batches at a time.
        tau: steps of the reverse loop where its length does not matter to a ratio.
        flips_tau, flips_images: for figures that need images to flip.
        ladder_images, ladder_tau: for the comparison in which images are tried again.
        repeats: measurements a median is taken of.
        pairs: stored pairs of images that are evaluated.
        memory_images, memory_tau: lengths of runs whose peak memory is compared, and their τ.
        full_size: measure the full-size U-Net too.
        compile: measure torch.compile.
    """

    dataset: str = "synthfaces"
    batch_size: int = 16
    threads: int = 2
    tau: int = 6
    flips_tau: int = 60
    flips_images: int = 64
    ladder_images: int = 64
    ladder_tau: int = 12
    repeats: int = 5
    pairs: int = 1000
    memory_images: tuple[int, ...] = (16, 64, 256)
    memory_tau: int = 2
    full_size: bool = True
    compile: bool = True


QUICK = Scale(
    dataset="digits",
    batch_size=4,
    tau=2,
    flips_tau=4,
    flips_images=8,
    ladder_images=6,
    ladder_tau=2,
    repeats=1,
    pairs=24,
    memory_images=(4, 8),
    full_size=False,
    compile=False,
)
"""Small enough for a test; its figures mean nothing."""


@dataclass(frozen=True)
class Setting:
    """A configuration with everything that runs it."""

    config: RunConfig
    images: ImageSet
    bundle: Bundle
    worker: Worker

    def tries(self, count: int | None = None) -> list[Try]:
        """The first images, each at the first λ_c and as if it were its last."""
        items = pending(self.config, self.images, {})
        chosen = [item for item, _ in zip(items, range(count or self.config.batch_size))]  # noqa: B905
        rung = {"lambda_class": self.config.guidance.lambda_class[0]}
        return [Try(item, 0, rung, last=True) for item in chosen]

    def stacked(self, count: int | None = None) -> Tensor:
        """The first images, uint8 with shape (n, 3, H, W)."""
        return torch.stack([one.item.image for one in self.tries(count)])


def setting(
    scale: Scale,
    images: int,
    method: str = "maskdime",
    tau: int | None = None,
    precision: str = "exact",
    rungs: Sequence[float] | None = None,
    bundle: Bundle | None = None,
) -> Setting:
    """The first images of the data set's main task, on the CPU.

    Args:
        scale: data set and batch size.
        images: how many.
        method, tau, precision: of the run; τ is the scale's short one unless given.
        rungs: λ_c to try in turn; default 8, 10, 15.
        bundle: networks to use, if they are there already.
    """
    guidance = {} if rungs is None else {"lambda_class": tuple(rungs)}
    config, image_set = resolve(
        Request(
            method=method,
            dataset=scale.dataset,
            limit=images,
            batch_size=scale.batch_size,
            device="cpu",
            settings={"tau": scale.tau if tau is None else tau},
            precision=precision,
            guidance=guidance,
        )
    )
    networks = networks_of(config) if bundle is None else bundle
    return Setting(config, image_set, networks, worker_of(config, networks))
