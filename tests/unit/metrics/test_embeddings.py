"""Cosine metrics, flips, diversity, populations: small functions, values by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vcebench.metrics.arrays import NotComputableError
from vcebench.metrics.diversity import pairs_of_matrix, pairwise_distances, sigma_l
from vcebench.metrics.flip import fr, fr_top1, oracle_fr
from vcebench.metrics.populations import populations
from vcebench.metrics.similarity import cosine, s3
from vcebench.metrics.verification import fs, fva

EMBEDDINGS = arrays("f4", (6, 5), elements=st.integers(-5, 5))


def test_cosine_by_hand():
    assert cosine([[1.0, 0.0], [3.0, 4.0]], [[0.0, 2.0], [3.0, -4.0]]).tolist() == [0.0, -0.28]


def test_a_zero_vector_is_similar_to_nothing():
    assert cosine([[0.0, 0.0]], [[1.0, 0.0]]).tolist() == [0.0]


@given(EMBEDDINGS, EMBEDDINGS)
def test_cosine_equals_torch(a, b):
    expected = torch.nn.functional.cosine_similarity(
        torch.from_numpy(a).double(), torch.from_numpy(b).double()
    )
    np.testing.assert_allclose(cosine(a, b), expected, atol=1e-6)


@given(EMBEDDINGS, st.floats(0.1, 100))
def test_cosine_does_not_depend_on_length(a, scale):
    np.testing.assert_allclose(cosine(a * scale, a[::-1]), cosine(a, a[::-1]), atol=1e-5)


def test_cosine_of_more_rows_than_a_chunk():
    a = np.random.default_rng(0).normal(size=(5000, 2))
    expected = (a * a[::-1]).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(a[::-1], axis=1)
    np.testing.assert_allclose(cosine(a, a[::-1]), expected, atol=1e-12)


def test_embeddings_must_pair_up():
    with pytest.raises(ValueError, match="differ in shape"):
        cosine(np.zeros((2, 3)), np.zeros((3, 3)))


def test_fva_needs_more_than_one_half():
    embedding = [[1.0, 1.0, 1.0, 1.0]]
    assert fva(embedding, [[1.0, 0.0, 0.0, 0.0]]).tolist() == [False]  # exactly 1/2
    assert fva(embedding, [[1.0, 0.1, 0.0, 0.0]]).tolist() == [True]


@pytest.mark.parametrize("metric", [fs, s3])
def test_fs_and_s3_are_cosines(metric):
    assert metric([[1.0, 0.0]], [[0.6, 0.8]]).tolist() == [0.6]


def test_fr_needs_a_positive_margin():
    assert fr(torch.tensor([0.3, 0.0, -2.0])).tolist() == [True, False, False]


def test_a_margin_that_is_nan_is_an_error():
    with pytest.raises(ValueError, match="NaN"):
        fr([float("nan")])


@pytest.mark.parametrize("metric", [fr_top1, oracle_fr])
def test_agreement_with_the_target(metric):
    assert metric(torch.tensor([8, 3]), torch.tensor([8, 8])).tolist() == [True, False]


def test_pairwise_distances_are_ordered_by_first_seed():
    runs = [np.array([float(i)]) for i in (0, 1, 3)]
    assert pairwise_distances(runs, lambda a, b: abs(a - b)).tolist() == [[1, 3, 2]]


def test_a_distance_matrix_gives_the_same_pairs():
    matrix = np.array([[[0, 1, 3], [1, 0, 2], [3, 2, 0]]])
    assert pairs_of_matrix(matrix).tolist() == [[1, 3, 2]]


def test_sigma_l_is_the_mean_over_ten_pairs():
    assert sigma_l(np.arange(20.0).reshape(2, 10)).tolist() == [4.5, 14.5]


def test_sigma_l_with_one_seed_is_missing():
    with pytest.raises(NotComputableError, match="needs --seeds 5"):
        pairwise_distances([np.zeros(1)], lambda a, b: a)


def test_sigma_l_with_too_few_seeds_is_missing():
    with pytest.raises(NotComputableError, match="needs --seeds 5"):
        sigma_l([[0.1, 0.2, 0.3]])


@given(arrays(np.float64, (4, 5, 5), elements=st.floats(0, 1)), st.permutations(range(5)))
def test_sigma_l_does_not_depend_on_the_order_of_the_seeds(matrix, order):
    matrix = matrix + matrix.transpose(0, 2, 1)
    shuffled = matrix[:, order][:, :, order]
    np.testing.assert_allclose(sigma_l(pairs_of_matrix(shuffled)), sigma_l(pairs_of_matrix(matrix)))


def test_populations_by_hand():
    members = populations(torch.tensor([True, True, False]), np.array([1, 0, 1]))
    assert {name: mask.tolist() for name, mask in members.items()} == {
        "all": [True, True, True],
        "flipped": [True, True, False],
        "correct": [True, False, True],
        "correct and flipped": [True, False, False],
    }


def test_populations_need_booleans():
    with pytest.raises(ValueError, match="flipped must hold booleans"):
        populations([0.7], [1])
