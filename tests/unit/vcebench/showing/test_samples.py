"""Samples of a prior, and ascents of classifiers."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from vcebench.models.loading import load_bundle
from vcebench.showing.samples import SHOWN, ascend, prior_sheet, robust_sheet


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


def test_ascents_of_three_classifiers_differ_from_their_inputs_and_each_other() -> None:
    found = tiles(robust_sheet("digits"), 128)
    inputs, *moved = (found.reshape(SHOWN, 4, *found.shape[2:])[:, k] for k in range(4))
    for number, picture in enumerate(moved):
        others = [inputs, *moved[:number]]
        assert all(np.abs(picture - other).mean() > 1 for other in others)


def test_an_ascent_is_as_long_as_it_says_and_raises_the_probability() -> None:
    bundle = load_bundle("digits", needs={"robust"}, metrics=False)
    assert bundle.robust is not None
    x = torch.zeros(2, 3, 32, 32)
    target = torch.tensor([3, 8])
    moved = ascend(bundle.robust, x, target, 1.0)
    assert ((moved - x) / 2).flatten(1).norm(dim=1).max().item() <= 1.0001
    with torch.no_grad():
        assert (bundle.robust.log_prob(moved, target) > bundle.robust.log_prob(x, target)).all()
