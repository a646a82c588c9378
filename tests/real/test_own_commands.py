"""Every command on runs of somebody's own task: it works, or says in one sentence why not."""

import json

import pytest
from owntask import OwnTask
from PIL import Image

METHODS = {"A": "maskdime", "B": "fastdime"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A task with two runs, A and B, of eight images."""
    task = OwnTask(tmp_path_factory.mktemp("own")).images(4)
    for output, method in METHODS.items():
        assert task.run("--method", method, "--trace", "1", output=f"runs/{output}") == 0
    return task


def runs(task):
    return [task.path / "runs" / name for name in METHODS]


def said(task, capsys, *words):
    """Exit code, stdout and stderr of a command."""
    capsys.readouterr()
    code = task.call(*words)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def test_compare_gives_the_stored_figures_and_their_difference(made, capsys):
    code, out, _ = said(made, capsys, "compare", *runs(made), "--format", "json")
    assert code == 0
    rows = {row["metric"]: row for row in json.loads(out)}
    rates = [100 * sum(row.flipped for row in made.rows(f"runs/{n}").values()) / 8 for n in "AB"]
    assert (rows["fr"]["A"], rows["fr"]["B"]) == tuple(rates)
    assert rows["fr"]["B - A"] == rates[1] - rates[0]
    assert rows["fr"]["n"] == 8


def test_compare_with_the_file_computes_the_same_anew(made, capsys):
    plain = said(made, capsys, "compare", *runs(made), "--format", "json")[1]
    code, out, _ = said(
        made, capsys, "compare", *runs(made), "--config", made.config, "--format", "json"
    )
    assert code == 0
    before, now = ({r["metric"]: r for r in json.loads(text)} for text in (plain, out))
    for metric in before.keys() & now.keys() - {"time", "peak_memory"}:
        assert now[metric]["A"] == pytest.approx(before[metric]["A"], abs=1e-6), metric
    assert {"fr", "l1", "nfe"} <= before.keys() & now.keys()


def test_evaluate_gives_the_figures_of_the_run(made, capsys):
    run = runs(made)[0]
    stored = {one["id"]: one["value"] for one in made.metrics("runs/A")["metrics"]}
    code, out, _ = said(made, capsys, "evaluate", run, "--config", made.config, "--format", "json")
    assert code == 0
    assert {one["id"]: one["value"] for one in json.loads(out)["metrics"]} == stored


def test_report_shows_both_with_their_class_names(made, capsys):
    code, out, _ = said(made, capsys, "report", *runs(made), "--output", made.path / "report")
    assert code == 0
    page = (made.path / "report" / "index.html").read_text()
    assert out.strip() == str(made.path / "report" / "index.html")
    assert "shapes" in page
    pages = "".join(path.read_text() for path in (made.path / "report").rglob("*.html"))
    assert "p(disc)" in pages
    assert "p(bar)" in pages


def test_figures_are_drawn_or_named_with_the_reason(made, capsys):
    words = ("figures", *runs(made), "--config", made.config, "--output", made.path / "figures")
    code, out, err = said(made, capsys, *words)
    assert code == 0
    drawn = [line.rsplit("/", 1)[-1] for line in out.splitlines()]
    assert drawn == ["ladder.png", "heat-maps.png", "cout-curves.png"]
    with Image.open(made.path / "figures" / "heat-maps.png") as picture:
        assert picture.width > 100
    assert "no correlations: the file of the task has no [oracle]" in err
    _, out, err = said(made, capsys, *words[:3], "--output", made.path / "figures")
    assert "cout-curves" not in out
    assert "no cout-curves:" in err
    assert "--config FILE.toml" in err


def test_merged_shards_are_the_undivided_run(made, capsys):
    for shard in ("0/2", "1/2"):
        assert made.run("--shard", shard, output="divided") == 0
    shards = sorted(made.path.glob("divided-shard-*"))
    words = ("merge", *shards, "--output", made.path / "merged")
    code, _, err = said(made, capsys, *words)
    assert code == 2
    assert "name its file too, --config FILE.toml" in err
    code, out, _ = said(made, capsys, *words, "--config", made.config)
    assert code == 0
    assert "maskdime" in out
    merged, whole = made.rows("merged"), made.rows("runs/A")
    assert list(merged) == list(whole)
    for id, row in merged.items():
        assert row.input_sha256 == whole[id].input_sha256
        assert (row.label, row.target, row.flipped) == (
            whole[id].label,
            whole[id].target,
            whole[id].flipped,
        )


def test_profile_counts_what_the_method_makes(made, capsys):
    words = ("profile", "--config", made.config, "--output", made.path / "profiled", "--tau", 2)
    code, out, err = said(made, capsys, *words, "--format", "json")
    assert code == 0, err
    (row,) = json.loads(out)
    assert (row["method"], row["τ"], row["n"]) == ("maskdime", 2, 8)
    assert row["NFE"] == 2
    code, _, err = said(made, capsys, "profile")
    assert code == 2
    assert "--config FILE.toml" in err


def test_check_finds_nothing_wrong_with_the_runs(made, capsys):
    for run in runs(made):
        assert said(made, capsys, "check", run)[0] == 0


def test_the_papers_tables_and_claims_leave_own_runs_alone(made, capsys):
    stored = ("--runs", made.path / "runs")
    for words in (
        ("table", "1", "--dataset", "synthfaces"),
        ("claims",),
        ("truth", "--dry-run"),
    ):
        code, out, err = said(made, capsys, *words, *stored)
        assert code == 0, err
        assert "shapes" not in out


@pytest.mark.parametrize(
    "words",
    [
        ("table", "1"),
        ("truth",),
        ("sanity", "--method", "maskdime"),
        ("sweep", "--table", "1"),
        ("baseline", "check"),
    ],
    ids=lambda words: words[0],
)
def test_what_is_about_published_sets_says_so(made, capsys, words):
    option = "--folder" if words[0] == "baseline" else "--dataset"
    code, out, err = said(made, capsys, *words, option, "shapes")
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "shapes" in err


def test_another_task_or_classifier_is_not_compared(made, capsys):
    other = OwnTask(made.path / "other").images(2)
    other.toml(classifier='factory = "clf:rule"')
    assert other.run() == 0
    code, _, err = said(made, capsys, "compare", runs(made)[0], other.path / "run")
    assert code == 2
    assert "explain different classifiers" in err


def test_images_that_are_the_target_already_are_in_no_comparison(made, capsys):
    made.toml(top='target = "disc"')
    assert made.run(output="targeted") == 0
    assert made.run("--method", "fastdime", output="targeted-too") == 0
    made.toml()
    rows = made.rows("targeted").values()
    there = sum(row.already_target for row in rows)
    assert 0 < there < len(rows)
    paths = made.path / "targeted", made.path / "targeted-too"
    code, out, _ = said(made, capsys, "compare", *paths, "--format", "json")
    assert code == 0
    assert {row["metric"]: row["n"] for row in json.loads(out)}["fr"] == len(rows) - there
