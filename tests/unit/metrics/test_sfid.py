import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.frechet import FewImagesWarning, fid
from vcebench.metrics.sfid import halves, split_fid


def names(n):
    return [f"image-{i:03d}" for i in range(n)]


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), rng.normal(0.5, 1.0, size=(40, 3))


@given(st.integers(4, 30), st.integers(0, 9))
def test_halves_are_disjoint_and_equal(n, halving):
    a, b = halves(names(n), halving)
    assert len(a) == len(b) == n // 2
    assert not set(a) & set(b)


def test_an_odd_number_leaves_one_image_out():
    a, b = halves(names(7), 0)
    assert len({*a, *b}) == 6


@given(st.permutations(range(10)))
def test_halves_depend_on_the_ids_not_on_their_order(order):
    ids = names(10)
    shuffled = [ids[i] for i in order]
    expected = [{ids[i] for i in half} for half in halves(ids, 3, seed=1)]
    assert [{shuffled[i] for i in half} for half in halves(shuffled, 3, seed=1)] == expected


def test_halvings_and_seeds_differ():
    drawn = {tuple(halves(names(20), h, seed)[0]) for h in range(10) for seed in (0, 1)}
    assert len(drawn) == 20


def test_ids_must_be_unique():
    with pytest.raises(ValueError, match="unique"):
        halves(["a", "a"], 0)


def test_each_halving_averages_two_crossed_distances(features):
    x, x_cf = features
    flipped = np.arange(40) % 3 != 0
    values = split_fid(names(40), x, x_cf, flipped, halvings=2)
    for halving, value in enumerate(values):
        a, b = halves(names(40), halving)
        ab, ba = fid(x[a], x_cf[b[flipped[b]]]), fid(x[b], x_cf[a[flipped[a]]])
        assert value == pytest.approx((ab + ba) / 2)


def test_ten_halvings_by_default(features):
    assert split_fid(names(40), *features, np.ones(40, bool)).shape == (10,)


def test_same_seed_same_values(features):
    first, again = (split_fid(names(40), *features, np.ones(40, bool), seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_the_order_of_the_images_does_not_matter(features):
    x, x_cf = features
    order = np.random.default_rng(1).permutation(40)
    flipped = np.arange(40) % 4 != 0
    ids = names(40)
    shuffled = split_fid([ids[i] for i in order], x[order], x_cf[order], flipped[order])
    np.testing.assert_allclose(shuffled, split_fid(ids, x, x_cf, flipped), rtol=1e-9)


def test_rows_of_images_that_did_not_flip_are_never_read(features):
    x, x_cf = features
    flipped = np.arange(40) % 2 == 0
    x_cf[~flipped] = np.nan
    assert np.isfinite(split_fid(names(40), x, x_cf, flipped)).all()


def test_fewer_than_two_counterfactuals_in_a_half_is_missing(features):
    flipped = np.zeros(40, bool)
    flipped[:3] = True
    with pytest.raises(NotComputableError, match="fewer than 2 flipped counterfactuals in a half"):
        split_fid(names(40), *features, flipped)


def test_one_warning_for_all_halvings():
    rng = np.random.default_rng(0)
    x, x_cf = rng.normal(size=(2, 8, 6))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        split_fid(names(8), x, x_cf, np.ones(8, bool))
    assert [w.category for w in caught] == [FewImagesWarning]


def test_rows_must_belong_to_ids(features):
    with pytest.raises(ValueError, match="one row per image"):
        split_fid(names(39), *features, np.ones(40, bool))
