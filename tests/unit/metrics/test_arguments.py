"""Every public function of the metrics refuses in one sentence what its docstring does not take."""

import inspect
from importlib import import_module

import numpy as np
import pytest
import torch

RNG = np.random.default_rng(0)
IMAGES, OTHERS, THIRD = (RNG.integers(0, 256, (4, 3, 6, 5), dtype=np.uint8) for _ in range(3))
REGION = RNG.random((4, 6, 5)) < 0.5
FEATURES, COUNTERPARTS = RNG.normal(size=(2, 12, 4))
PROBABILITIES, AFTER = RNG.random((2, 6, 3))
CHANGES = RNG.integers(-1, 2, (6, 3))
LABELS = RNG.integers(0, 2, (6, 3))
TRUTH = np.array([1.0, 0.2, -0.1])
FLAGS = np.array([True, False, True, True] * 3)
CLASSES = np.array([0, 2, 1])
IDS = [f"image-{n}" for n in range(12)]


def watched(images):
    return torch.full((len(images), 3), 1 / 3)


TENSORS = torch.from_numpy(IMAGES), torch.from_numpy(OTHERS)
SOURCE, TARGET = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 0, 2])

CALLS = {
    "attributes.changes": {"originals": PROBABILITIES, "counterfactuals": AFTER},
    "attributes.mnac": {"originals": PROBABILITIES, "counterfactuals": AFTER},
    "attributes.label_correlation": {"labels": LABELS, "query": 1},
    "attributes.change_correlation": {"changed": CHANGES, "query": 1},
    "attributes.cd": {"changed": CHANGES, "query": 0, "true_correlation": TRUTH},
    "attributes.cd_interval": {
        **{"changed": CHANGES, "query": 0, "true_correlation": TRUTH},
        **{"resamples": 10, "seed": 0},
    },
    "bootstrap.mean_interval": {"values": TRUTH, "resamples": 10, "seed": 0, "level": 0.9},
    "causal.true_region": {"originals": IMAGES, "truths": OTHERS},
    "causal.edited_region": {"originals": IMAGES, "counterfactuals": OTHERS},
    "causal.gt_iou": {"originals": IMAGES, "counterfactuals": OTHERS, "region": REGION},
    "causal.gt_precision": {"originals": IMAGES, "counterfactuals": OTHERS, "region": REGION},
    "causal.gt_l1": {"counterfactuals": IMAGES, "truths": OTHERS},
    "causal.off_target": {"originals": IMAGES, "counterfactuals": OTHERS, "region": REGION},
    "cout.cout": {
        **{"originals": TENSORS[0], "counterfactuals": TENSORS[1]},
        **{"source": SOURCE, "target": TARGET, "probabilities": watched},
        **{"steps": 5, "batch_size": 4},
    },
    "cues.cue_recall": {"before": TRUTH, "after": TRUTH[::-1]},
    "cues.cue_precision": {"originals": IMAGES, "counterfactuals": OTHERS, "region": REGION},
    "cues.progress": {"originals": IMAGES, "counterfactuals": OTHERS, "truths": THIRD},
    "cues.share_agreement": {"cue": abs(TRUTH), "other": abs(TRUTH), "cue_share": 0.5},
    "distances.l1": {"originals": IMAGES, "counterfactuals": OTHERS},
    "distances.l1_norm": {"originals": IMAGES, "counterfactuals": OTHERS},
    "distances.l15_norm": {"originals": IMAGES, "counterfactuals": OTHERS},
    "distances.l2_norm": {"originals": IMAGES, "counterfactuals": OTHERS},
    "diversity.pairs_of_matrix": {"matrices": RNG.random((4, 3, 3))},
    "diversity.sigma_l": {"pairs": RNG.random((4, 3)), "seeds": 3},
    "flip.fr": {"margin": TRUTH},
    "flip.fr_top1": {"prediction": CLASSES, "target": CLASSES},
    "flip.oracle_fr": {"prediction": CLASSES, "target": CLASSES},
    "frechet.moments": {"features": FEATURES, "rows": [0, 1], "chunk": 5},
    "frechet.gaussian": {"features": FEATURES, "rows": [0, 1]},
    "frechet.fid": {
        **{"originals": FEATURES, "counterfactuals": COUNTERPARTS},
        "counterfactual_rows": [0, 2, 3],
    },
    "kid.kid": {
        **{"originals": FEATURES, "counterfactuals": COUNTERPARTS},
        **{"counterfactual_rows": [0, 2, 3], "chunk": 5},
    },
    "kid.block_values": {
        **{"originals": FEATURES, "counterfactuals": COUNTERPARTS},
        **{"counterfactual_rows": [0, 2, 3, 4], "largest": 4, "block": 6},
    },
    "populations.populations": {"flipped": FLAGS, "correct": FLAGS},
    "regions.outside_change": {"originals": IMAGES, "counterfactuals": OTHERS, "region": REGION},
    "regions.region_area": {"region": REGION},
    "regions.region_iou": {"region": REGION, "truth": ~REGION},
    "sanity.edit_difference": {"originals": IMAGES, "first": OTHERS, "second": THIRD},
    "sanity.edit_rank_correlation": {"originals": IMAGES, "first": OTHERS, "second": THIRD},
    "sfid.halves": {"image_ids": IDS, "halving": 0, "seed": 0},
    "sfid.split_fid": {
        **{"image_ids": IDS, "originals": FEATURES, "counterfactuals": COUNTERPARTS},
        **{"flipped": FLAGS, "halvings": 2, "seed": 0},
    },
    "similarity.cosine": {"a": FEATURES, "b": COUNTERPARTS},
    "similarity.s3": {"originals": FEATURES, "counterfactuals": COUNTERPARTS},
    "verification.fs": {"originals": FEATURES, "counterfactuals": COUNTERPARTS},
    "verification.fva": {"originals": FEATURES, "counterfactuals": COUNTERPARTS},
}

LARGEST = {"query": 2, "seeds": 3}
"""Numbers that may not grow beyond a bound of the other arguments."""

MISSING_IS_ALL = {"rows", "counterfactual_rows"}
SETS = {"frechet", "kid"}
"""Metrics of two sets that may differ in size."""

NAN_IS_NO_VALUE = {("cues.share_agreement", "cue"), ("cues.share_agreement", "other")}
ARGUMENTS = [(name, key) for name, arguments in CALLS.items() for key in arguments]


def function(name):
    module, _, symbol = name.partition(".")
    return getattr(import_module(f"vcebench.metrics.{module}"), symbol)


def garbage(name, key, value):
    """Values that an argument cannot have."""
    if key == "probabilities":
        yield from (lambda x: torch.full((len(x), 2), 0.5), lambda x: torch.full((len(x), 3), 7.0))
        yield lambda x: torch.full((len(x),), 0.5)
        return
    if key in ("level", "cue_share"):
        yield from (0.0, 1.0, -1.0, "0.5", None, float("nan"))
        return
    if key == "image_ids":
        yield from ([1, 2], IDS[:-1] + IDS[:1], "abcdefghijkl")
        return
    if isinstance(value, int):
        yield from ("2", True, 1.5, -1, None)
        yield from ([LARGEST[key] + 1] if key in LARGEST else [])
        return
    yield from ("abc", ["a"], [[None]], [[1, 2], [3]], {"a": 1}, object())
    yield from ([] if key in MISSING_IS_ALL else [None])
    array = value if isinstance(value, torch.Tensor) else np.asarray(value)
    yield array[None]
    yield array[..., 0] if array.ndim > 1 else array[0]
    if not isinstance(value, torch.Tensor):
        yield array.astype(complex)
        yield array.astype(str)
        if array.dtype.kind == "f" and (name, key) not in NAN_IS_NO_VALUE:
            yield np.where(np.arange(array.size).reshape(array.shape) == 0, np.nan, array)
    several = sum(isinstance(other, np.ndarray) for other in CALLS[name].values()) > 1
    if several and name.partition(".")[0] not in SETS and key != "changed":
        yield array[:-1]  # row for row with another argument


@pytest.mark.parametrize(("name", "key"), ARGUMENTS, ids=lambda value: str(value))
@pytest.mark.filterwarnings("ignore::vcebench.metrics.frechet.FewImagesWarning")
def test_an_argument_of_another_form_is_one_sentence(name, key):
    call, arguments = function(name), CALLS[name]
    call(**arguments)
    for value in garbage(name, key, arguments[key]):
        with pytest.raises(ValueError, match=r"^\S") as error:
            call(**{**arguments, key: value})
        assert "\n" not in str(error.value), value


def test_every_public_function_is_among_them():
    modules = {name.partition(".")[0] for name in CALLS}
    public = {
        f"{module}.{name}"
        for module in modules
        for name, found in inspect.getmembers(import_module(f"vcebench.metrics.{module}"))
        if inspect.isfunction(found)
        and found.__module__ == f"vcebench.metrics.{module}"
        and not name.startswith("_")
        and "ArrayInput" in str(inspect.signature(found))
    }
    assert public - set(CALLS) == set()
