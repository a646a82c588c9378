import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.attributes import (
    cd,
    cd_interval,
    change_correlation,
    changes,
    label_correlation,
    mnac,
)

CHANGES = arrays(np.int64, (12, 4), elements=st.integers(-1, 1))


def test_changes_by_hand():
    assert changes([[0.2, 0.9, 0.6]], [[0.8, 0.1, 0.7]]).tolist() == [[1, -1, 0]]


def test_one_half_is_absent():
    assert changes([[0.5]], [[0.51]]).tolist() == [[1]]


def test_logits_are_refused():
    with pytest.raises(ValueError, match="logits"):
        changes([[3.0]], [[0.5]])


def test_mnac_counts_the_queried_attribute_too():
    assert mnac([[0.1, 0.9], [0.1, 0.9]], [[0.9, 0.9], [0.9, 0.1]]).tolist() == [1, 2]


def test_label_correlation_by_hand():
    labels = [[0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 1]]
    np.testing.assert_allclose(label_correlation(labels, 0), [1, 3**-0.5, 0])


def test_label_correlation_does_not_care_how_labels_are_coded():
    labels = np.random.default_rng(0).integers(0, 2, (50, 4))
    np.testing.assert_allclose(label_correlation(labels, 1), label_correlation(2 * labels - 1, 1))


@given(CHANGES)
def test_correlation_equals_numpy_where_defined(changed):
    correlation = change_correlation(changed, 2)
    for a in range(4):
        if np.ptp(changed[:, a]) == 0 or np.ptp(changed[:, 2]) == 0:
            assert correlation[a] == 0
        else:
            expected = np.corrcoef(changed[:, a], changed[:, 2])[0, 1]
            assert correlation[a] == pytest.approx(expected, abs=1e-12)


def test_cd_by_hand():
    changed = [[1, 1], [-1, -1], [1, -1], [-1, 1]]
    assert cd(changed, 0, [1.0, 0.25]) == 0.25


def test_a_constant_change_counts_as_zero():
    assert cd([[1, 1], [-1, 1]], 0, [1.0, 0.3]) == pytest.approx(0.3)


@given(CHANGES, st.permutations(range(12)))
def test_cd_does_not_depend_on_the_order_of_the_images(changed, order):
    truth = [0.1, 0.2, 1.0, -0.4]
    assert cd(changed[order], 2, truth) == pytest.approx(cd(changed, 2, truth), rel=1e-12)


@pytest.mark.parametrize("function", [change_correlation, label_correlation])
def test_one_image_has_no_correlation(function):
    with pytest.raises(NotComputableError, match="needs 2 images"):
        function([[1, 0]], 0)


def test_query_must_be_a_column():
    with pytest.raises(ValueError, match="below 2, not 31"):
        cd([[1, 0], [0, 1]], 31, [1.0, 0.0])


def test_probabilities_are_no_changes():
    with pytest.raises(ValueError, match="integers"):
        change_correlation([[0.5, 0.2], [0.1, 0.3]], 0)


def test_cd_interval_equals_resampling_one_by_one():
    rng = np.random.default_rng(0)
    changed, truth = rng.integers(-1, 2, (15, 4)), rng.uniform(-1, 1, 4)
    draws = np.random.default_rng(7).integers(15, size=(200, 15))
    expected = np.quantile([cd(changed[d], 1, truth) for d in draws], [0.025, 0.975])
    interval = cd_interval(changed, 1, truth, resamples=200, seed=7)
    np.testing.assert_allclose(interval, expected, rtol=1e-12)


def test_cd_interval_of_one_image_is_unknown():
    assert cd_interval([[1, 0]], 0, [1.0, 0.0]) is None
