"""Sanity checks: values by hand, and the bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from vcebench.metrics.sanity import edit_difference, edit_rank_correlation

PICTURES = arrays(np.uint8, (2, 3, 4, 4), elements=st.integers(0, 255))


def grey(*pixels):
    return np.repeat(np.array(pixels, dtype=np.uint8).reshape(-1, 1, 2, 2), 3, axis=1)


X = grey([100, 100, 100, 100])


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ([150, 100, 100, 100], [150, 100, 100, 100], 0),
        ([150, 100, 100, 100], [100, 150, 100, 100], 1),  # elsewhere
        ([150, 100, 100, 100], [50, 100, 100, 100], 1),  # the other way round
        ([140, 100, 100, 100], [120, 100, 100, 100], 1 / 3),
        ([140, 100, 100, 100], [140, 140, 100, 100], 1 / 3),
        ([140, 100, 100, 100], [100, 100, 100, 100], 1),  # only one changes anything
        ([100, 100, 100, 100], [100, 100, 100, 100], np.nan),
    ],
)
def test_edit_difference(first, second, wanted):
    found = edit_difference(X, grey(first), grey(second))
    assert found == pytest.approx([wanted], nan_ok=True)


@given(PICTURES, PICTURES, PICTURES)
def test_edit_difference_is_symmetric_and_bounded(x, first, second):
    found = edit_difference(x, first, second)
    np.testing.assert_allclose(found, edit_difference(x, second, first))
    assert ((found >= 0) & (found <= 1) | np.isnan(found)).all()


def test_rank_correlation_is_spearmans_of_where_the_edits_are():
    generator = np.random.default_rng(0)
    x, first, second = generator.integers(0, 256, size=(3, 5, 3, 8, 8)).astype(np.uint8)
    found = edit_rank_correlation(x, first, second)
    for row, value in enumerate(found):
        maps = [
            np.abs(x[row].astype(float) - other[row]).mean(axis=0).ravel()
            for other in (first, second)
        ]
        assert value == pytest.approx(spearmanr(*maps).statistic)


def test_rank_correlation_ignores_the_sign_and_the_strength_of_edits():
    brighter, darker = grey([110, 120, 130, 140]), grey([98, 90, 80, 0])
    assert edit_rank_correlation(X, brighter, darker) == pytest.approx([1])
    assert np.isnan(edit_rank_correlation(X, X, brighter))
