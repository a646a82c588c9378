import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.metrics import bootstrap
from vcebench.metrics.bootstrap import bootstrap_interval, mean_interval, resample_counts

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


def test_each_resample_draws_n_images():
    counts = np.concatenate(list(resample_counts(7, resamples=50)))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()


def test_blocks_do_not_change_the_draws(monkeypatch):
    whole = np.concatenate(list(resample_counts(7, resamples=50)))
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 20)
    np.testing.assert_array_equal(np.concatenate(list(resample_counts(7, resamples=50))), whole)


def test_mean_interval_equals_resampling_one_by_one():
    values = np.sort(np.random.default_rng(0).normal(size=20))
    draws = np.random.default_rng(3).integers(20, size=(1000, 20))
    expected = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(mean_interval(values, seed=3), expected)


def test_an_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        low, high = mean_interval(rng.normal(size=60), seed=seed, resamples=300)
        inside += low <= 0 <= high
    assert inside / 200 == pytest.approx(0.95, abs=0.05)


@given(VALUES)
def test_an_interval_lies_within_the_values(values):
    low, high = mean_interval(values, resamples=50)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


@given(VALUES, st.randoms())
def test_the_order_of_the_images_does_not_matter(values, random):
    shuffled = random.sample(values, len(values))
    assert mean_interval(shuffled, resamples=50) == mean_interval(values, resamples=50)


def test_seeds_differ_and_repeat():
    values = np.random.default_rng(0).normal(size=20)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_one_image_has_no_interval():
    assert mean_interval([1.0]) is None


def test_any_statistic_of_counts():
    values = np.array([1.0, 5.0, 2.0])
    interval = bootstrap_interval(lambda counts: np.where(counts > 0, values, 0).max(axis=1), 3)
    assert interval == (1.0, 5.0)
