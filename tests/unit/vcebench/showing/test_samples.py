"""Samples of a prior."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vcebench.showing.samples import SHOWN, prior_sheet


def tiles(sheet: Image.Image, size: int, gap: int = 6, title: int = 22) -> np.ndarray:
    """The tiles (lines, columns, size, size, 3) of a sheet."""
    pixels = np.asarray(sheet).astype(int)
    lines, columns = pixels.shape[0] // (size + title), pixels.shape[1] // (size + gap)
    return np.stack(
        [
            [
                pixels[k * (size + title) + title :][:size, gap + c * (size + gap) :][:, :size]
                for c in range(columns)
            ]
            for k in range(lines)
        ]
    )


def test_samples_resemble_their_inputs_and_differ_by_seed() -> None:
    found = tiles(prior_sheet("digits"), 128)
    assert found.shape[0] * found.shape[1] == 4 * SHOWN
    inputs, noised, first, second = (
        found.reshape(SHOWN, 4, *found.shape[2:])[:, k] for k in range(4)
    )
    distance = [np.abs(other - inputs).mean() for other in (noised, first, second)]
    assert distance[0] > 2 * distance[1] > 0
    assert distance[0] > 2 * distance[2] > 0
    assert np.abs(first - second).mean() > 0
