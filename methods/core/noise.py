"""Noise as a function of (seed, data set, image id, purpose, step, inner step, pass) alone.

An image's counterfactual must not depend on the batch it happens to be in, so every image draws
from its own counter-based generator, on the CPU and in float32 whatever the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Noise(Protocol):
    """Source of standard normal tensors for one batch."""

    def draw(
        self,
        purpose: str,
        step: int,
        inner_step: int = 0,
        pass_index: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """Standard normal noise with shape (B, C, H, W).

        Args:
            purpose: what it is for, such as "start"; each draw of a step has another.
            step: loop step, 0 for the first.
            inner_step: step of a nested chain.
            pass_index: 0, or 1 in the second pass of a two-pass method.
            shape: of an image's noise, where it is not the image's; no part of the key.
        """
        ...


@dataclass(frozen=True)
class KeyedNoise:
    """Noise keyed by image.

    Attributes:
        seed: the run's seed.
        dataset: name of the data set; the same id in another set draws other noise.
        image_ids: one id per image of the batch; equal ids draw equal noise.
        shape: (C, H, W) of an image.
        device: where the drawn tensor is put.
    """

    seed: int
    dataset: str
    image_ids: Sequence[str]
    shape: tuple[int, int, int]
    device: torch.device | str = "cpu"

    def draw(
        self,
        purpose: str,
        step: int,
        inner_step: int = 0,
        pass_index: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """See `Noise.draw`."""
        buffer = np.empty((len(self.image_ids), *(shape or self.shape)), dtype=np.float32)
        for row, numbers in enumerate(buffer):
            self.fill(numbers, row, purpose, step, inner_step, pass_index)
        return torch.from_numpy(buffer).to(self.device)

    def fill(
        self,
        numbers: npt.NDArray[np.float32],
        row: int,
        purpose: str,
        step: int,
        inner_step: int = 0,
        pass_index: int = 0,
    ) -> None:
        """Write one image's noise of a draw into an array; see `Noise.draw`."""
        image_id = self.image_ids[row]
        # repr of the tuple separates the fields, so ("a", "bc") and ("ab", "c") differ.
        key = repr((self.seed, self.dataset, image_id, purpose, step, inner_step, pass_index))
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        philox = np.random.Philox(key=int.from_bytes(digest, "little"))
        np.random.Generator(philox).standard_normal(out=numbers, dtype=np.float32)
