import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.frechet import (
    FewImagesWarning,
    Gaussian,
    Moments,
    fid,
    frechet_distance,
    gaussian,
    moments,
)

VALUES = st.floats(-10, 10, allow_nan=False, width=32)
FEATURES = st.tuples(st.integers(2, 12), st.just(3)).flatmap(
    lambda shape: arrays("f4", shape, elements=VALUES)
)
SEEDS = st.integers(0, 1000)


def sample(seed, n, d, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1.0, (n, d)).astype(np.float32)


@given(FEATURES, FEATURES)
def test_merged_moments_equal_one_pass(a, b):
    merged = moments(a).merge(moments(b))
    whole = moments(np.concatenate([a, b]))
    assert merged.n == whole.n
    np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-9)
    np.testing.assert_allclose(merged.scatter, whole.scatter, atol=1e-9)


@given(FEATURES, st.integers(1, 5))
def test_moments_do_not_depend_on_the_chunk_size(features, chunk):
    chunked, whole = moments(features, chunk=chunk), moments(features)
    np.testing.assert_allclose(chunked.covariance, whole.covariance, atol=1e-9)


@given(FEATURES)
def test_moments_equal_numpy(features):
    result = moments(features)
    np.testing.assert_allclose(result.mean, features.astype(float).mean(0), atol=1e-9)
    np.testing.assert_allclose(result.covariance, np.cov(features.astype(float).T), atol=1e-9)


def test_merging_with_no_image_changes_nothing():
    some = moments(sample(0, 4, 2))
    for merged in (some.merge(Moments.empty(2)), Moments.empty(2).merge(some)):
        np.testing.assert_array_equal(merged.scatter, some.scatter)


def test_update_with_no_rows_changes_nothing():
    some = moments(sample(0, 4, 2))
    assert some.update(np.empty((0, 2))) is some


def test_moments_of_chosen_rows():
    features = sample(0, 9, 2)
    rows = np.array([1, 4, 5])
    np.testing.assert_allclose(
        moments(features, rows, chunk=2).mean, features[rows].mean(0), atol=1e-6
    )


def test_one_image_has_no_covariance():
    with pytest.raises(NotComputableError, match="needs 2 images, got 1"):
        _ = moments([[1.0, 2.0]]).covariance


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_must_be_finite(bad):
    with pytest.raises(ValueError, match="NaN or infinity"):
        fid([[0.0], [bad]], [[0.0], [1.0]])


@pytest.mark.parametrize(("sizes", "d"), [((40, 30), 4), ((5, 6), 20), ((40, 6), 20)])
def test_fid_of_equal_sets_is_zero(sizes, d):
    for n in sizes:
        features = sample(1, n, d)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewImagesWarning)
            assert fid(features, features) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("n", [3, 50])
def test_a_shift_adds_its_squared_length(n):
    features, shift = sample(2, n, 5), np.array([3.0, 4.0, 0.0, 0.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)
        assert fid(features, features + shift) == pytest.approx(25, rel=1e-6)


def test_diagonal_covariances_by_hand():
    first = Gaussian(9, np.zeros(2), np.diag([4.0, 9.0]), None)
    second = Gaussian(9, np.ones(2), np.diag([1.0, 16.0]), None)
    assert frechet_distance(first, second) == pytest.approx(1 + 1 + (2 - 1) ** 2 + (3 - 4) ** 2)


def test_features_of_dead_units_leave_a_singular_covariance():
    a, b = sample(3, 50, 4), sample(4, 50, 4)
    a[:, 2] = b[:, 2] = 7.0
    alive = [0, 1, 3]
    assert fid(a, b) == pytest.approx(fid(a[:, alive], b[:, alive]), abs=1e-6)


@given(SEEDS)
def test_both_forms_of_a_gaussian_give_the_same_distance(seed):
    a, b = sample(seed, 12, 4), sample(seed + 1, 9, 4, shift=0.5)
    low_rank = [
        Gaussian(len(x), x.mean(0), None, (x - x.mean(0)) / np.sqrt(len(x) - 1))
        for x in (a.astype(float), b.astype(float))
    ]
    expected = frechet_distance(gaussian(a), gaussian(b))
    assert frechet_distance(*low_rank) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(gaussian(a), low_rank[1]) == pytest.approx(expected, rel=1e-8)


@given(SEEDS)
def test_fid_does_not_depend_on_the_order_of_the_images(seed):
    a, b = sample(seed, 20, 3), sample(seed + 1, 20, 3)
    order = np.random.default_rng(seed).permutation(20)
    assert fid(a[order], b) == pytest.approx(fid(a, b), rel=1e-9)


def test_fid_of_chosen_counterfactuals():
    a, b = sample(0, 20, 3), sample(1, 20, 3)
    rows = np.arange(0, 20, 2)
    assert fid(a, b, rows) == fid(a, b[rows])


def test_fid_warns_when_images_are_fewer_than_features():
    with pytest.warns(FewImagesWarning, match="4 images for 5 features"):
        fid(sample(0, 9, 5), sample(1, 4, 5))


@pytest.mark.parametrize(("n", "m", "name"), [(1, 9, "originals"), (9, 1, "counterfactuals")])
def test_fid_of_one_image_is_missing(n, m, name):
    with pytest.raises(NotComputableError, match=rf"fewer than 2 {name} \(n = 1\)"):
        fid(sample(0, n, 3), sample(1, m, 3))


def test_features_of_different_networks_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        fid(sample(0, 9, 3), sample(1, 9, 4))


def test_a_memory_map_is_never_held_whole(tmp_path):
    np.save(tmp_path / "features.npy", sample(0, 20_000, 64))  # 10 MB in float64
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    tracemalloc.start()
    fid(features, features, np.arange(0, 20_000, 2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000
