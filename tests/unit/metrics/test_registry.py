import ast
import dataclasses
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import vcebench.metrics
from vcebench.metrics.populations import EMPTY_REASON
from vcebench.metrics.registry import METRICS, MetricError, metric

MODULES = sorted(Path(vcebench.metrics.__path__[0]).glob("*.py"))
PROTOCOL = {
    # id: (better, population)
    "fr": ("higher", "all"),
    "fr_top1": ("higher", "all"),
    "oracle_fr": ("higher", "all"),
    "fid": ("lower", "flipped"),
    "sfid": ("lower", "flipped"),
    "kid": ("lower", "flipped"),
    "fva": ("higher", "flipped"),
    "fs": ("higher", "flipped"),
    "mnac": ("lower", "flipped"),
    "cd": ("lower", "flipped"),
    "cout": ("higher", "correct"),
    "s3": ("higher", "correct"),
    "sigma_l": ("higher", "all"),
    "l1": ("lower", "flipped"),
    "l1_norm": ("lower", "flipped"),
    "l15_norm": ("lower", "flipped"),
    "l2_norm": ("lower", "flipped"),
    "gt_iou": ("higher", "correct and flipped"),
    "gt_precision": ("higher", "correct and flipped"),
    "gt_l1": ("lower", "correct and flipped"),
    "off_target": ("lower", "correct and flipped"),
    "cue_recall": ("higher", "flipped"),
    "cue_precision": ("higher", "flipped"),
    "share_agreement": ("higher", "flipped"),
    "outside_change": ("lower", "all"),
    "region_area": ("lower", "all"),
    "region_iou": ("higher", "correct"),
    "nfe": ("lower", "all"),
    "time": ("lower", "all"),
    "peak_memory": ("lower", "all"),
}


def test_the_registry_is_the_protocol():
    assert {i.id: (i.better, i.population) for i in METRICS.values()} == PROTOCOL


@pytest.mark.parametrize("info", METRICS.values(), ids=list(METRICS))
def test_entries_are_complete(info):
    assert info.range[0] < info.range[1]
    assert info.population in EMPTY_REASON
    assert all((info.title, info.summary, info.reference.paper, info.reference.equation))
    assert (info.unit == "%") == (info.scale == 100)


def test_split_fid_says_what_it_is():
    assert metric("sfid").title == "sFID (split)"


@pytest.mark.parametrize(
    ("id", "interval"), [("fid", None), ("kid", None), ("sfid", "halvings"), ("cd", "images")]
)
def test_kinds_of_interval(id, interval):
    assert metric(id).interval == interval


@pytest.mark.parametrize(("wrong", "near"), [("sfidd", "'sfid'"), ("FVA", "'fva'")])
def test_unknown_ids_name_the_nearest(wrong, near):
    with pytest.raises(MetricError, match=f"unknown metric '{wrong}'; did you mean .*{near}"):
        metric(wrong)


def test_ids_like_no_other_list_all():
    with pytest.raises(MetricError, match="known: fr, fr_top1"):
        metric("zzzzzz")


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        METRICS["fid"] = METRICS["kid"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        METRICS["fid"].better = "higher"


def test_listing_metrics_does_not_import_torch():
    code = "import sys, vcebench.metrics.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_metrics_know_numbers_only(module):
    allowed = {"torch", "numpy", "scipy", *sys.stdlib_module_names}
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            assert name.split(".")[0] in allowed or name.startswith("vcebench.metrics")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_examples_in_docstrings(module):
    suffix = "" if module.stem == "__init__" else f".{module.stem}"
    imported = importlib.import_module(f"vcebench.metrics{suffix}")
    assert doctest.testmod(imported).failed == 0
