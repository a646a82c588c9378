import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.metrics import kid as module
from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.bootstrap import mean_interval
from vcebench.metrics.kid import block_values, estimated, kid


def sample(seed, n, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1.0, (n, 4)).astype(np.float32)


def by_definition(x, y):
    def kernel(a, b):
        return (a.astype(float) @ b.astype(float) / len(a) + 1) ** 3

    same_x = [kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    same_y = [kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    return np.mean(same_x) + np.mean(same_y) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_by_hand():
    # k(x, y) = (xy + 1)³ for one feature: within 1³ and 3³, between 1, 1, 2³ and 3³.
    assert kid([[0.0], [1.0]], [[1.0], [2.0]]) == 1 + 27 - 2 * (1 + 1 + 8 + 27) / 4


@given(st.integers(0, 1000), st.integers(1, 9))
def test_kid_is_its_definition_for_any_chunk_size(seed, chunk):
    x, y = sample(seed, 7), sample(seed + 1, 5)
    assert kid(x, y, chunk=chunk) == pytest.approx(by_definition(x, y), rel=1e-9)


@given(st.integers(0, 1000))
def test_kid_does_not_depend_on_the_order_of_the_images(seed):
    x, y = sample(seed, 8), sample(seed + 1, 6)
    order = np.random.default_rng(seed).permutation(8)
    assert kid(x[order], y) == pytest.approx(kid(x, y), rel=1e-9)


def test_kid_is_unbiased_where_the_distributions_agree():
    values = [kid(sample(seed, 10), sample(seed + 500, 10)) for seed in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_kid_sees_a_shift():
    assert kid(sample(0, 50), sample(1, 50, shift=1.0)) > 1


def test_kid_of_chosen_counterfactuals():
    x, y = sample(0, 8), sample(1, 8)
    rows = np.array([0, 3, 4])
    assert kid(x, y, rows) == kid(x, y[rows])


@pytest.mark.parametrize(("n", "m", "name"), [(1, 5, "originals"), (5, 1, "counterfactuals")])
def test_kid_of_one_image_is_missing(n, m, name):
    with pytest.raises(NotComputableError, match=f"fewer than 2 {name}"):
        kid(sample(0, n), sample(1, m))


def test_features_of_different_networks_are_refused():
    with pytest.raises(ValueError, match="differ in dimension: 4 and 3"):
        kid(sample(0, 5), sample(1, 5)[:, :3])


def test_features_must_be_finite():
    with pytest.raises(ValueError, match="NaN or infinity"):
        kid([[np.nan], [1.0]], [[0.0], [1.0]])


def test_kid_of_many_images_is_that_of_float64(monkeypatch):
    # Products of sets larger than `SMALL` are float32.
    x, y = (np.random.default_rng(k).normal(5 + k, 1.0, (300, 32)) for k in (0, 1))
    exact = kid(x, y)
    monkeypatch.setattr(module, "SMALL", 10)
    value = kid(x, y, chunk=64)
    assert value != exact
    assert value == pytest.approx(exact, rel=1e-6)


def test_as_many_images_as_are_allowed_give_the_value_itself():
    x, y = sample(0, 30), sample(1, 20)
    assert block_values(x, y, largest=30).tolist() == [kid(x, y)]


def test_blocks_estimate_the_value_with_an_interval():
    x, y = sample(0, 4000), sample(1, 4000, shift=0.2)
    blocks = block_values(x, y, largest=3000, block=100)
    assert len(blocks) == 40
    low, high = mean_interval(blocks)
    assert low < kid(x, y) < high
    assert high - low < kid(x, y)


def test_equal_images_do_not_meet_in_their_block_more_than_elsewhere():
    # Of unchanged images, pairs of equals are 1/n of all pairs; in aligned blocks they would be
    # 1/block of them, and the estimate far below the value.
    x = sample(0, 3000)
    blocks = block_values(x, x, largest=2000, block=50)
    assert abs(blocks.mean() - kid(x, x)) < 4 * blocks.std() / np.sqrt(len(blocks))
    paired = np.mean([kid(x[b : b + 50], x[b : b + 50]) for b in range(0, 3000, 50)])
    assert abs(paired - kid(x, x)) > 10 * blocks.std() / np.sqrt(len(blocks))


@pytest.mark.parametrize("rows", [2, 3, 40])
def test_every_block_has_two_images_of_each_set(rows):
    x, y = sample(0, 500), sample(1, 500)
    blocks = block_values(x, y, np.arange(rows), largest=100, block=20)
    assert len(blocks) == min(25, rows // 2)
    assert np.isfinite(blocks).all()


def test_an_estimate_is_said():
    assert estimated(50_000) is None
    assert "60,000 images is estimated from blocks of 2,000" in estimated(60_000)
