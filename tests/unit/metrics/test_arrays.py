"""Indices, masks and number types that people hand to metrics."""

import numpy as np
import pytest
import torch

from vcebench.metrics import frechet, kid
from vcebench.metrics.arrays import as_array, as_rows

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 3))
MASK = np.array([True, False] * 6)
INDICES = np.flatnonzero(MASK)


@pytest.mark.parametrize(
    "rows",
    [
        *(INDICES, INDICES.tolist(), INDICES.astype(np.uint8), torch.from_numpy(INDICES)),
        *(MASK, MASK.tolist(), torch.from_numpy(MASK)),
    ],
    ids=["int64", "list", "uint8", "tensor", "mask", "list of bools", "tensor of bools"],
)
@pytest.mark.parametrize("metric", [kid.kid, frechet.fid])
@pytest.mark.filterwarnings("ignore::vcebench.metrics.frechet.FewImagesWarning")
def test_indices_and_masks_choose_the_same_rows(metric, rows):
    assert metric(X, Y, rows) == metric(X, Y[INDICES])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (MASK[:5], "mask of 5 for 12"),
        ([0.0, 1.0, 2.0], "indices or a mask"),
        ([0, 1, 12], "from 0 to 12"),
        ([-1, 0, 1], "from -1 to 1"),
        ([[0, 1]], "1 axes"),
    ],
)
@pytest.mark.parametrize("metric", [kid.kid, frechet.fid])
def test_other_rows_are_refused(metric, rows, message):
    with pytest.raises(ValueError, match=message):
        metric(X, Y, rows)


def test_no_row_stays_no_row():
    assert as_rows([], 3).tolist() == []


def test_bfloat16_features_are_those_numbers():
    x, y = (torch.from_numpy(a).to(torch.bfloat16) for a in (X, Y))
    assert as_array(x).dtype == np.float32
    assert kid.kid(x, y) == kid.kid(x.double().numpy(), y.double().numpy())
