"""FID agrees with pytorch-fid and with its own definition, in float64, at any rank."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from vcebench.metrics.frechet import FewImagesWarning, fid, frechet_distance, gaussian, moments

VALUES = json.loads(
    (Path(__file__).parent / "golden" / "metrics" / "metrics.json").read_text(encoding="utf-8")
)["fid"]
SETS = {
    "full_rank": ("full_rank_features_1", "full_rank_features_2"),
    "rank_deficient": ("rank_deficient_features_1", "rank_deficient_features_2"),
    "mixed_n": ("full_rank_features_1", "rank_deficient_features_2"),
}
FEATURES = sorted({name for pair in SETS.values() for name in pair})


@pytest.fixture
def features(golden_file):
    return golden_file("metrics/fid")


def value_of(features, case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)
        return fid(*(features[name] for name in SETS[case]))


def from_deviations(x, y):
    """The definition without any covariance: tr √(Σ₁Σ₂) as singular values of A Bᵀ."""
    x, y = x.double().numpy(), y.double().numpy()
    a, b = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (x, y))
    traces = (a**2).sum() + (b**2).sum() - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + traces


@pytest.mark.parametrize("case", SETS)
def test_fid_is_exact(features, case):
    expected = from_deviations(*(features[name] for name in SETS[case]))
    assert value_of(features, case) == pytest.approx(expected, rel=1e-10)


# Roots of zero eigenvalues leave 2e-8 in the recorded value where the ranks differ.
@pytest.mark.parametrize(
    ("case", "tolerance"), [("full_rank", 1e-9), ("rank_deficient", 1e-9), ("mixed_n", 1e-7)]
)
def test_fid_agrees_with_the_recorded_reference(features, case, tolerance):
    expected = VALUES[case]["reference_without_matrix_sqrt"]
    assert value_of(features, case) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("case", SETS)
def test_fid_agrees_with_the_recorded_pytorch_fid(features, case):
    assert value_of(features, case) == pytest.approx(VALUES[case]["pytorch_fid"], rel=1e-5)


@pytest.mark.parametrize("case", SETS)
def test_fid_is_symmetric(features, case):
    first, second = (gaussian(features[name]) for name in SETS[case])
    there, back = frechet_distance(first, second), frechet_distance(second, first)
    assert there == pytest.approx(back, rel=1e-9)


def test_fid_agrees_with_the_installed_pytorch_fid(features):
    warnings.simplefilter("ignore", DeprecationWarning)  # pytest restores the filters
    package = pytest.importorskip("pytorch_fid.fid_score")
    first, second = (moments(features[name]) for name in SETS["full_rank"])
    try:
        expected = package.calculate_frechet_distance(
            first.mean, first.covariance, second.mean, second.covariance
        )
    except (TypeError, ValueError) as error:  # its matrix square root breaks from SciPy 1.18 on
        pytest.skip(f"pytorch-fid does not run on this SciPy: {error}")
    assert value_of(features, "full_rank") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", FEATURES)
def test_moments(features, name):
    streamed = moments(features[name], chunk=7)
    np.testing.assert_allclose(
        streamed.mean, features[name.replace("features", "mu")].numpy(), atol=1e-12
    )
    np.testing.assert_allclose(
        streamed.covariance, features[name.replace("features", "sigma")].numpy(), atol=1e-12
    )


@pytest.mark.parametrize("name", FEATURES)
def test_float32_features_are_accumulated_in_float64(features, name):
    streamed = moments(features[name])
    assert streamed.mean.dtype == streamed.covariance.dtype == np.float64
    # An accumulation that ran in float32 would miss these by about 1e-7.
    expected = features[name].double().mean(dim=0).numpy()
    np.testing.assert_allclose(streamed.mean, expected, atol=1e-14)


@pytest.mark.parametrize("name", FEATURES)
def test_both_forms_of_a_gaussian_are_float64(features, name):
    fitted = gaussian(features[name])
    form = fitted.covariance if fitted.deviations is None else fitted.deviations
    assert fitted.mean.dtype == form.dtype == fitted.root().dtype == np.float64
