"""The examples as an installed package: listed with where they come from, run, measured, shown."""

from __future__ import annotations

import json
import tomllib
from importlib import invalidate_caches
from pathlib import Path

import pytest

from vcebench.cli import main
from vcebench.data.registry import DATASETS
from vcebench.folders.runfolder import RunFolder
from vcebench.methods.registry import METHODS
from vcebench.metrics.registry import OUTSIDE, forget
from vcebench.settings import installed, plugins

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _forget() -> None:
    """What a test makes known is gone after it."""
    methods, datasets = dict(METHODS), dict(DATASETS)
    yield
    for id in list(OUTSIDE):
        forget(id)
    for known, before in ((METHODS, methods), (DATASETS, datasets)):
        known.clear()
        known.update(before)
    for loaded in (plugins._LOADED, installed._METRICS, installed._DATASETS, installed._WHERE):
        loaded.clear()


def install(place: Path, name: str, points: dict[str, dict[str, str]]) -> None:
    """Write what `pip install` leaves of a package, so that entry points are really found."""
    info = place / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, entries in points.items()
        for line in (f"[{group}]", *(f"{id} = {value}" for id, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples, installed."""
    content = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())
    place = tmp_path / "site-packages"
    install(place, "vcebench_examples", content["project"]["entry-points"])
    (place / "vcebench_examples").symlink_to(EXAMPLES)
    monkeypatch.syspath_prepend(place)
    invalidate_caches()
    return place


def listed(what: str, capsys) -> dict[str, str]:
    capsys.readouterr()
    assert main(["list", what, "--format", "json"]) == 0
    return {entry["id"]: entry["from"] for entry in json.loads(capsys.readouterr().out)}


def test_each_is_listed_with_where_it_comes_from(examples, capsys):
    for what, id, place in (
        ("methods", "descend", "vcebench_examples.explainer:descend"),
        ("methods", "shrinking", "vcebench_examples.method:Shrinking"),
        ("metrics", "touched", "vcebench_examples.metric:touched"),
        ("datasets", "rectangles", "vcebench_examples.dataset:rectangles"),
    ):
        found = listed(what, capsys)
        assert found[id] == f"{place}, vcebench_examples 1.0"
        assert "vcebench" in found.values()


def test_a_data_set_is_run_with_its_networks_and_measured_by_the_metric(examples, tmp_path, capsys):
    run = tmp_path / "runs/run"
    command = ["run", "--method", "descend", "--dataset", "rectangles", "--limit", "3"]
    assert main([*command, "--batch-size", "3", "--output", str(run)]) == 0
    folder = RunFolder(run)
    assert [row.flipped for row in folder.rows()] == [True] * 3
    assert "code_sha256" in folder.manifest()["networks"]["classifier"]
    assert main(["evaluate", str(run), "--format", "json"]) == 0
    document = json.loads((run / "metrics.json").read_text())
    records = {record["id"]: record for record in document["metrics"]}
    assert 0 < records["touched"]["value"] <= 1
    assert document["plugins"]["touched"]["where"] == "vcebench_examples.metric:touched"
    assert records["fid"]["reason"] == "rectangles has no representation network"
    capsys.readouterr()
    assert main(["compare", str(run), str(run), "--format", "json"]) == 0
    assert "touched" in {line["metric"] for line in json.loads(capsys.readouterr().out)}
    for command, output in (("report", "report"), ("leaderboard", "site")):
        assert main([command, str(run), "-o", str(tmp_path / output)]) == 0
    page = (tmp_path / "site/rectangles-brightness-test.html").read_text()
    assert 'data-metric="touched"' in page
    # Without the package its folder is still read, as far as it can be.
    forget("touched")
    assert main(["report", str(run), "-o", str(tmp_path / "again")]) == 0


def test_a_metric_is_named_by_its_file(fixture_run, capsys):
    folder = fixture_run("maskdime", ids=2, networks={})
    place = f"{EXAMPLES}/metric.py:touched"
    assert main(["evaluate", str(folder.path), "--metric", place, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (record,) = [one for one in found["metrics"] if one["id"] == "touched"]
    single = folder.per_image()
    assert record["value"] == pytest.approx(
        sum(single[row.id]["touched"] for row in folder.rows() if single[row.id]["fr"])
        / sum(single[row.id]["fr"] > 0 for row in folder.rows())
    )


def test_a_metric_of_a_notebook_is_computed_and_not_remembered(fixture_run):
    from vcebench.jobs.session import measure_again
    from vcebench.metrics.info import MetricInfo, Reference
    from vcebench.metrics.outside import OutsideMetric
    from vcebench.metrics.registry import register

    folder = fixture_run("maskdime", ids=2, networks={})
    about = {"title": "Mine", "better": "lower", "range": (0, 9), "population": "all"}
    info = MetricInfo(id="mine", reference=Reference("x", "y"), summary="mine", **about)
    for value in (1.0, 2.0):
        register(OutsideMetric(info, lambda x, y, **_: [value] * len(x)))  # noqa: B023
        (result,) = measure_again(folder.path)
        assert result.evaluation.values["mine"].value == value


BAD = """
from vcebench.metrics.info import MetricInfo, Reference
from vcebench.metrics.outside import OutsideMetric


def metric(id, compute):
    about = dict(title=id, better="lower", range=(0, 1), population="all", summary=id)
    return OutsideMetric(MetricInfo(id=id, reference=Reference("x", "y"), **about), compute)


shape = metric("shape", lambda x, y, **_: (x == y).float())
raises = metric("raises", lambda x, y, **_: 1 / 0)
beyond = metric("beyond", lambda x, y, **_: [2.0] * len(x))
words = metric("words", lambda x, y, **_: ["a"] * len(x))
taken = metric("fid", lambda x, y, **_: [0.0] * len(x))
undefined = metric("undefined", lambda x, y, **_: [float("nan")] * len(x))
fine = metric("fine", lambda x, y, **_: [0.5] * len(x))
number = 7
"""


def test_a_broken_plug_in_is_one_sentence_and_stops_no_other(
    tmp_path, monkeypatch, fixture_run, capsys
):
    place = tmp_path / "site-packages"
    names = ("shape", "raises", "beyond", "words", "taken", "undefined", "fine", "number")
    points = {name: f"bad_metrics:{name}" for name in names} | {"gone": "no_such_module:x"}
    data = {"broken": "no_such_module:y", "seven": "bad_metrics:number"}
    install(place, "bad", {"vcebench.metrics": points, "vcebench.datasets": data})
    (place / "bad_metrics.py").write_text(BAD)
    monkeypatch.syspath_prepend(place)
    invalidate_caches()
    folder = fixture_run("maskdime", ids=2, networks={})
    assert main(["evaluate", str(folder.path), "--format", "json"]) == 0
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    for sentence in (
        "the plug-in gone (no_such_module:x) cannot be loaded: ModuleNotFoundError",
        "the plug-in broken (no_such_module:y) cannot be loaded: ModuleNotFoundError",
        "bad_metrics:taken: fid is a metric of this package; give yours another id",
        "bad_metrics:number is a int; give an OutsideMetric",
        "bad_metrics:number is a int; give a DatasetEntry",
    ):
        assert sentence in said.err
    records = {record["id"]: record for record in json.loads(said.out)["metrics"]}
    assert records["fine"]["value"] == 0.5
    assert records["fid"]["value"] is not None or records["fid"]["reason"]
    for id, reason in (
        ("shape", "shape returned shape (2, 3, 64, 64); return (2,), one an image"),
        ("raises", "raises failed: ZeroDivisionError: division by zero"),
        ("beyond", "beyond returned 2, beyond its range 0 … 1"),
        ("words", "words returned <U1; return numbers"),
        ("undefined", "not defined for any of 2 images"),
    ):
        assert (records[id]["value"], records[id]["reason"]) == (None, reason)
