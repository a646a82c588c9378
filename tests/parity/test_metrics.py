"""Metrics reproduce the values computed with the authors' released evaluation code."""

import json
from pathlib import Path

import numpy as np
import pytest

from vcebench.metrics.attributes import cd, change_correlation, changes, mnac
from vcebench.metrics.diversity import sigma_l
from vcebench.metrics.similarity import s3
from vcebench.metrics.verification import fs, fva

VALUES = json.loads(
    (Path(__file__).parent / "golden" / "metrics" / "metrics.json").read_text(encoding="utf-8")
)
ABSOLUTE = 1e-5  # the vectors' recommended tolerance


@pytest.fixture
def oracle(golden_file):
    return golden_file("metrics/mnac_cd")


@pytest.fixture
def constant_query(oracle):
    """The same inputs, where the queried attribute appears in every image."""
    before, after = oracle["prob_original"].clone(), oracle["prob_counterfactual"].clone()
    query = VALUES["mnac_cd"]["query_label"]
    before[:, query], after[:, query] = 0.2, 0.8
    return changes(before, after)


def test_mnac_per_image(oracle):
    counts = mnac(oracle["prob_original"], oracle["prob_counterfactual"])
    np.testing.assert_array_equal(counts, oracle["mnac_per_image"].numpy())


def test_mnac_mean_and_deviation(oracle):
    counts = mnac(oracle["prob_original"], oracle["prob_counterfactual"])
    assert counts.mean() == VALUES["mnac_cd"]["mnac_mean"]
    assert counts.std() == pytest.approx(VALUES["mnac_cd"]["mnac_std_population"], rel=1e-12)


def test_change_correlation_with_an_attribute_that_never_changes(oracle):
    changed = changes(oracle["prob_original"], oracle["prob_counterfactual"])
    correlation = change_correlation(changed, VALUES["mnac_cd"]["query_label"])
    assert correlation[VALUES["mnac_cd"]["attribute_never_changing"]] == 0
    np.testing.assert_allclose(correlation, oracle["delta_correlation"].numpy(), atol=1e-12)


def test_cd(oracle):
    changed = changes(oracle["prob_original"], oracle["prob_counterfactual"])
    value = cd(changed, VALUES["mnac_cd"]["query_label"], oracle["true_correlation"])
    assert value == pytest.approx(VALUES["mnac_cd"]["cd"], rel=1e-12)


def test_cd_where_the_query_changes_alike_in_all_images(oracle, constant_query):
    query = VALUES["mnac_cd"]["query_label"]
    np.testing.assert_array_equal(
        change_correlation(constant_query, query),
        oracle["delta_correlation_constant_query"].numpy(),
    )
    value = cd(constant_query, query, oracle["true_correlation"])
    assert value == pytest.approx(VALUES["mnac_cd"]["cd_constant_query_case"], rel=1e-12)


def test_fs(golden_file):
    faces = golden_file("metrics/fva_fs")
    cosines = fs(faces["emb_original"], faces["emb_counterfactual"])
    np.testing.assert_allclose(cosines, faces["cosine"].numpy(), atol=ABSOLUTE)
    assert cosines.mean() == pytest.approx(VALUES["fva_fs"]["fs_mean_cosine"], abs=1e-6)
    assert cosines.std() == pytest.approx(VALUES["fva_fs"]["fs_std_population"], abs=1e-6)


def test_fva(golden_file):
    faces = golden_file("metrics/fva_fs")
    verified = fva(faces["emb_original"], faces["emb_counterfactual"])
    np.testing.assert_array_equal(verified, faces["verified"].numpy().astype(bool))
    assert verified.mean() == VALUES["fva_fs"]["fva"]
    assert verified.std() == pytest.approx(VALUES["fva_fs"]["fva_std_population"], rel=1e-12)


def test_s3(golden_file):
    faces = golden_file("metrics/fva_fs")
    value = s3(faces["emb_original"], faces["emb_counterfactual"]).mean()
    assert value == pytest.approx(VALUES["fva_fs"]["s3_same_embeddings"], abs=1e-6)


def test_sigma_l(golden_file):
    pairs = golden_file("metrics/sigma_l")
    per_image = sigma_l(pairs["pair_distance"])
    np.testing.assert_allclose(per_image, pairs["per_image"].numpy(), atol=1e-6)
    assert per_image.mean() == pytest.approx(VALUES["sigma_l"]["sigma_l"], abs=1e-6)
