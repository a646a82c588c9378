"""Results of other programs: folders of every layout, written from a real run, and read back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_trees import THREE, Image8, ace, dime, image, plain, write_tree
from PIL import Image

from vcebench.cli import USAGE, main
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder

LAYOUTS = ("ace", "dime", "fastdime", "maskdime", "time")
JPEG = ("dime", "fastdime", "maskdime")
COSTS = ("nfe", "time", "peak_memory")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A real run: an attack is fast, and flips faces by changing many pixels a little."""
    path = tmp_path_factory.mktemp("own") / "run"
    command = ["run", "--method", "pgd", "--dataset", "synthfaces", "--limit", "4"]
    assert main([*command, "--batch-size", "4", "--output", str(path)]) == 0
    return RunFolder(path)


@pytest.fixture(scope="module")
def pictures(own: RunFolder) -> list[Image8]:
    rows = own.rows()
    inputs, made = (own.images(kind, rows).permute(0, 2, 3, 1).numpy() for kind in _KINDS)
    return [
        Image8(
            row.index,
            row.label,
            row.prediction,
            row.target,
            row.target if row.flipped_float else row.source,
            x,
            x_cf,
        )
        for row, x, x_cf in zip(rows, inputs, made, strict=True)
    ]


_KINDS = ("inputs", "counterfactuals")


def metrics(path: Path) -> dict[str, Any]:
    document = json.loads((path / "metrics.json").read_text())
    return {record["id"]: record for record in document["metrics"]}


def imported(source: Path, output: Path, *options: str) -> RunFolder:
    command = ["import", str(source), "--output", str(output), *options]
    assert main(command) == 0
    return RunFolder(output)


def rows_of(folder: RunFolder) -> list[Row]:
    return folder.rows()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_round_trips(own, pictures, layout, tmp_path, capsys):
    part = "explanation" if layout == "ace" else None
    write_tree(tmp_path / "out", layout, pictures, exp="exp/name", part=part)
    options = ("--dataset", "synthfaces", "--layout", layout)
    folder = imported(tmp_path / "out", tmp_path / "run", *options)
    mine, theirs = own.rows(), folder.rows()
    assert [row.id for row in theirs] == [row.id for row in mine]
    assert [row.correct for row in theirs] == [row.correct for row in mine]
    assert [row.flipped_foreign for row in theirs] == [row.flipped_float for row in mine]
    assert {(row.nfe, row.seconds, row.tries, row.lambda_class) for row in theirs} == {
        (None, None, None, None)
    }
    assert folder.config().method == f"foreign:{layout}"
    if layout not in ("ace", "fastdime"):
        return  # the others' rows are the same, and so are their metrics
    assert main(["evaluate", str(folder.path)]) == 0
    assert "not known" in capsys.readouterr().out
    expected, found = metrics(own.path), metrics(folder.path)
    for id, record in expected.items():
        if id in COSTS:
            assert found[id]["value"] is None
        elif layout not in JPEG:
            assert found[id]["value"] == record["value"], id
            assert (found[id]["low"], found[id]["n"]) == (record["low"], record["n"])
    if layout in JPEG:
        # JPEG moves every level a little, and undoes part of an attack that lives in such levels.
        change = found["l1"]["value"] - expected["l1"]["value"]
        assert 0 < abs(change) < 4 / 255
        assert found["oracle_fr"]["n"] == expected["oracle_fr"]["n"]
        notes = json.loads((folder.path / "metrics.json").read_text())["notes"]
        assert any("the images were JPEG files" in note for note in notes)


def test_pairs_round_trip_and_stand_beside_our_runs(own, tmp_path, capsys):
    out = tmp_path / "out"
    rows = own.rows()
    out.mkdir()
    for kind in _KINDS:
        (out / kind).mkdir()
        for row in rows:
            content = (own.path / kind / f"{row.id}.png").read_bytes()
            (out / kind / f"{row.id}.png").write_bytes(content)
    with (out / "pairs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["input", "counterfactual", "label", "target"])
        for row in rows:
            paths = [f"{kind}/{row.id}.png" for kind in _KINDS]
            writer.writerow([*paths, ("not smiling", "smiling")[row.label], row.target])
    runs = tmp_path / "runs"
    options = ("--dataset", "synthfaces", "--name", "mine")
    folder = imported(out, runs / "mine", *options)
    # Ids of pairs.csv come from the paths; without one they are matched as the two folders' names.
    assert folder.rows()[0].id == "inputs_synthfaces-test-00000"
    (out / "pairs.csv").unlink()
    matched = imported(out, runs / "matched", *options)
    assert [row.id for row in matched.rows()] == [row.id for row in rows]
    assert [row.target for row in matched.rows()] == [row.target for row in rows]
    assert [row.label for row in matched.rows()] == [row.label for row in rows]
    assert main(["evaluate", str(matched.path)]) == 0
    capsys.readouterr()
    assert main(["compare", str(own.path), str(matched.path), "--format", "json"]) == 0
    differences = {line["metric"]: line["B - A"] for line in json.loads(capsys.readouterr().out)}
    assert set(differences.values()) == {0}
    assert {"fr", "gt_iou", "sfid"} <= differences.keys()
    command = ["table", "1", "--dataset", "synthfaces", "--runs", str(runs), "--format", "csv"]
    assert main(command) == 0
    assert "synthfaces,smile,foreign:mine,cout" in capsys.readouterr().out
    assert main(["report", str(own.path), str(matched.path), "--output", str(tmp_path / "r")]) == 0
    page = next((tmp_path / "r" / "images").glob("*.html")).read_text()
    assert "not known" in page


def test_without_a_classifier_the_programs_verdicts_stand(tmp_path, capsys):
    folder = imported(ace(tmp_path / "out"), tmp_path / "run", "--dataset", "celeba")
    said = capsys.readouterr()
    assert "no classifier of celeba is here" in said.err
    assert "66.67" in said.out
    rows = folder.rows()
    assert [row.id for row in rows] == ["0000000", "0000001", "0000002"]
    assert [row.target for row in rows] == [0, 1, 1]
    assert [row.correct for row in rows] == [True, False, True]
    assert [row.flipped for row in rows] == [True, True, False]
    assert [row.flipped_foreign for row in rows] == [True, True, False]
    assert {row.margin for row in rows} == {None}
    assert folder.manifest()["imported"]["files"] == 6


def evaluated(folder: RunFolder, *options: str) -> tuple[dict[str, Any], list[str]]:
    """Metrics by id, and the notes beside them."""
    assert main(["evaluate", str(folder.path), *options]) == 0
    document = json.loads((folder.path / "metrics.json").read_text())
    return {record["id"]: record for record in document["metrics"]}, document["notes"]


def test_without_a_classifier_everything_that_reads_runs_goes_on(tmp_path, capsys):
    runs = tmp_path / "runs"
    one = imported(ace(tmp_path / "out"), runs / "one", "--dataset", "celeba", "--name", "mine")
    two = imported(
        tmp_path / "out", runs / "two", "--dataset", "celeba", "--part", "pre-explanation"
    )
    found, notes = evaluated(one)
    assert (found["fr"]["value"], found["fr"]["n"]) == (pytest.approx(200 / 3), 3)
    assert found["fr"]["backbone"] == "its program's own verdicts"
    assert any("what the program said that made them" in note for note in notes)
    assert found["l1"]["n"] == 2  # the flipped ones
    assert "is missing: get" in found["cout"]["reason"]
    assert found["nfe"]["reason"] == "not known"
    evaluated(two)
    capsys.readouterr()
    assert main(["compare", str(one.path), str(two.path), "--format", "json"]) == 0
    assert {line["metric"] for line in json.loads(capsys.readouterr().out)} == {
        "fr",
        "l1",
        "l1_norm",
        "l15_norm",
        "l2_norm",
    }
    assert main(["table", "1", "--dataset", "celeba", "--runs", str(runs), "--format", "csv"]) == 0
    assert "measured,celeba,smile,foreign:mine" in capsys.readouterr().out
    assert main(["claims", "--runs", str(runs), "--dataset", "celeba"]) == 0
    for command, output in (("report", "report"), ("leaderboard", "site")):
        assert main([command, str(one.path), str(two.path), "-o", str(tmp_path / output)]) == 0
    board = (tmp_path / "site/celeba-smile-val.html").read_text()
    assert "its program's own verdicts" in board.replace("&#39;", "'")
    body = board.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [row.partition("</tr>")[0] for row in body.split("<tr ")[1:]]
    known = [row.partition('class="')[2].partition('"')[0] for row in rows]
    assert known.count("imported") == 2
    assert known.count("printed") > 5
    # What a paper prints has no protocol, images or pictures of ours, and ranks among its like.
    first = next(row for row in rows if row.startswith('class="printed"'))
    assert "as printed" in first
    assert "not said" in first
    assert "<a href" not in first
    ranked = [how for how, row in zip(known, rows, strict=True) if 'class="best"' in row]
    assert "printed" in ranked


def test_verdicts_that_nobody_has_leave_their_metrics_out_with_the_reason(tmp_path, capsys):
    out = tmp_path / "out"
    for kind, level in zip(_KINDS, (50, 60), strict=True):
        (out / kind).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(plain(level + number)).save(out / kind / f"{number}.png")
    rows = [f"{_KINDS[0]}/{n}.png,{_KINDS[1]}/{n}.png,1,0,1" for n in range(3)]
    (out / "pairs.csv").write_text(
        "input,counterfactual,label,target,prediction\n" + "\n".join(rows)
    )
    folder = imported(out, tmp_path / "runs/mine", "--dataset", "celeba")
    assert {row.flipped for row in folder.rows()} == {None}
    found, _ = evaluated(folder)
    for id in ("fr", "l1", "l2_norm"):
        assert found[id]["value"] is None
        assert "does not say of 3 of 3 images whether the target was reached" in found[id]["reason"]
    assert main(["leaderboard", str(folder.path), "-o", str(tmp_path / "site")]) == 0
    assert main(["report", str(folder.path), "-o", str(tmp_path / "report")]) == 0
    assert "flip not known" in next((tmp_path / "report/images").glob("*.html")).read_text()


OWN = """
name = "plain"
[data]
folder = "."
size = 8
classes = ["dark", "bright"]
"""


def test_images_of_ones_own_need_neither_classifier_nor_prior(tmp_path, capsys):
    (tmp_path / "own.toml").write_text(OWN)
    write_tree(tmp_path / "out", "time", THREE)
    own = ("--config", str(tmp_path / "own.toml"))
    folder = imported(tmp_path / "out", tmp_path / "run", *own, "--name", "mine")
    assert "has no [classifier], so the program's own verdicts stand" in capsys.readouterr().err
    found, _ = evaluated(folder, *own)
    assert found["fr"]["value"] == pytest.approx(200 / 3)
    assert found["cout"]["reason"] == "the file of the task has no [classifier]"
    assert found["oracle_fr"]["reason"] == "the file of the task has no [oracle]"
    assert main(["compare", str(folder.path), str(folder.path)]) == 0
    for kind, level in (("dark", 9), ("bright", 200)):
        (tmp_path / kind).mkdir()
        Image.fromarray(plain(level)).save(tmp_path / kind / "0.png")
    command = ["run", *own, "--method", "pgd", "--output", str(tmp_path / "x")]
    assert main(command) == USAGE
    assert "has no [classifier], which is needed here; add it" in capsys.readouterr().err


BRIGHTNESS = """
import torch

class Brightness(torch.nn.Module):
    def forward(self, x):
        return 20 * x.mean((1, 2, 3))
"""


def test_a_classifier_of_ones_own_judges_again(tmp_path, capsys):
    (tmp_path / "bright.py").write_text(BRIGHTNESS)
    section = '[classifier]\nfactory = "bright:Brightness"\n'
    (tmp_path / "own.toml").write_text(OWN + section)
    dark = [image(0, 1, 1, 0, 0), image(1, 1, 1, 0, 0)]
    bright = [
        Image8(**{**vars(one), "x": plain(200), "x_cf": plain(20 + 200 * k)})
        for k, one in enumerate(dark)
    ]
    write_tree(tmp_path / "out", "time", bright)
    own = ("--config", str(tmp_path / "own.toml"))
    folder = imported(tmp_path / "out", tmp_path / "run", *own)
    assert "1 of 2 verdicts (50.0 %) differ" in capsys.readouterr().err
    assert [(row.flipped, row.flipped_foreign) for row in folder.rows()] == [
        (True, True),
        (False, True),
    ]
    found, notes = evaluated(folder, *own)
    assert (found["fr"]["value"], found["cout"]["n"]) == (50, 2)
    assert any("1 of 2 verdicts differ" in note for note in notes)
    # The cells as the program filed them are a second evaluation, beside the run's own.
    before = (folder.path / "metrics.json").read_bytes()
    assert main(["evaluate", str(folder.path), *own, "--populations", "foreign"]) == 0
    assert "judged by its-program" in capsys.readouterr().err
    assert (folder.path / "metrics.json").read_bytes() == before
    document = json.loads((folder.path / "judged/its-program/metrics.json").read_text())
    filed = {record["id"]: record for record in document["metrics"]}
    assert (filed["fr"]["value"], filed["fr"]["backbone"]) == (100, "its program's own verdicts")
    assert (filed["l1"]["n"], found["l1"]["n"]) == (2, 1)


def test_only_an_import_was_filed_by_another_program(own, capsys):
    assert main(["evaluate", str(own.path), "--populations", "foreign"]) == USAGE
    assert "is no import: no other program has filed its images" in capsys.readouterr().err


def test_markup_in_a_foreign_folder_stays_text(tmp_path):
    markup = "<img src=x onerror=alert(1)>"
    write_tree(tmp_path / "out", "time", THREE, exp=markup)
    base = tmp_path / "out/Results" / markup
    (base / "summary.yaml").write_text(f"{{'n': 3, 'explanation': {{'cf': 0.1}}, x: '{markup}'}}")
    (base / "CC/CCF/CF" / f"{markup}.png").write_bytes(b"x")
    folder = imported(tmp_path / "out", tmp_path / "run", "--dataset", "celeba")
    assert any(markup in name for name in folder.manifest()["skipped"])
    evaluated(folder)
    for command in ("report", "leaderboard"):
        site = tmp_path / command
        assert main([command, str(folder.path), "-o", str(site)]) == 0
        for page in site.rglob("*.html"):
            assert markup not in page.read_text()


def test_maskdimes_rows_are_dimes_but_for_the_name(tmp_path):
    out = dime(tmp_path / "out")
    options = ("--dataset", "celeba", "--layout")
    one, other = (
        imported(out, tmp_path / layout, *options, layout) for layout in ("dime", "maskdime")
    )
    assert one.rows() == other.rows()
    assert (one.config().method, other.config().method) == ("foreign:dime", "foreign:maskdime")


def test_broken_pictures_are_left_out_with_their_reason(tmp_path, capsys):
    out = tmp_path / "out"
    base = write_tree(out, "time", [image(n, 1, 1, 0, 0) for n in (0, 6, 8, 9)])
    cells = base / "CC/CCF/CF"
    Image.fromarray(plain(9, height=16)).save(cells / "0000006.png")
    picture = (cells / "0000008.png").read_bytes()
    (cells / "0000008.png").write_bytes(picture[: len(picture) // 2])
    deep = Image.fromarray(np.zeros((8, 8), dtype=np.uint16))
    deep.save(cells / "0000009.png")
    folder = imported(out, tmp_path / "run", "--dataset", "celeba")
    assert [row.id for row in folder.rows()] == ["0000000"]
    skipped = folder.manifest()["skipped"]
    assert "8x8 pixels, the counterfactual 8x16" in skipped["0000006"]
    assert "is damaged" in skipped["0000008"]
    assert "other levels than 8 bits" in skipped["0000009"]
    assert capsys.readouterr().err.count("left out: ") == 3


def refused(*command: str) -> int:
    return main(["import", *command])


def test_a_folder_without_anything_usable_leaves_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    base = write_tree(out, "time", THREE)
    for path in (out / "Original").rglob("*.png"):
        path.write_bytes(b"no picture")
    assert refused(str(out), "--dataset", "celeba", "-o", str(tmp_path / "run")) == USAGE
    assert "holds nothing to import" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert base.is_dir()


def test_images_are_never_assumed_to_be_those_of_a_data_set(pictures, tmp_path, capsys):
    grey = [Image8(**{**vars(one), "x": plain(99, 64, 64)}) for one in pictures]
    write_tree(tmp_path / "out", "time", grey)
    command = (str(tmp_path / "out"), "--dataset", "synthfaces", "-o", str(tmp_path / "run"))
    assert refused(*command, "--images", "synthfaces-test") == USAGE
    assert "4 inputs (0000000, …) are not the images of synthfaces test" in capsys.readouterr().err
    folder = imported(tmp_path / "out", tmp_path / "run", "--dataset", "synthfaces")
    assert "no truth is known" in capsys.readouterr().err
    assert folder.rows()[0].id == "0000000"
    assert not (folder.path / "truths").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "say what the images are of"),
        (("--dataset", "celebb"), "did you mean celeba"),
        (("--dataset", "celeba", "--exp", "f"), "did you mean e"),
        (("--dataset", "celeba", "--part", "both"), "no part 'both'"),
        (("--dataset", "celeba", "--name", "../x"), "use letters, digits"),
        (("--dataset", "celeba", "--images", "synthfaces-test"), "is not of celeba"),
        (("--dataset", "celeba", "--layout", "pairs"), "there is no folder"),
    ],
)
def test_a_request_that_does_not_fit_is_one_sentence(tmp_path, capsys, options, complaint):
    ace(tmp_path / "out")
    assert refused(str(tmp_path / "out"), *options, "-o", str(tmp_path / "run")) == USAGE
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_not_written_over(tmp_path, capsys):
    ace(tmp_path / "out")
    (tmp_path / "run").mkdir()
    command = (str(tmp_path / "out"), "--dataset", "celeba", "-o", str(tmp_path / "run"))
    assert refused(*command) == USAGE
    assert "exists; remove it" in capsys.readouterr().err


def test_several_seeds_have_a_diversity(pictures, tmp_path, capsys):
    for seed in range(2):
        moved = [
            Image8(**{**vars(one), "x_cf": np.clip(one.x_cf.astype(int) + 3 * seed, 0, 255)})
            for one in pictures[:2]
        ]
        tree = [Image8(**{**vars(one), "x_cf": one.x_cf.astype(np.uint8)}) for one in moved]
        write_tree(tmp_path / f"out{seed}", "time", tree)
        output = tmp_path / "runs" / f"seed-{seed}"
        imported(tmp_path / f"out{seed}", output, "--dataset", "synthfaces", "--seed", str(seed))
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "runs"), "--format", "json"]) == 0
    (document, *others) = json.loads(capsys.readouterr().out)["seeds"]
    assert len(others) == 1
    (record,) = [one for one in document["metrics"] if one["id"] == "sigma_l"]
    assert record["value"] > 0


def test_what_is_exported_can_be_explained_elsewhere_and_comes_back(tmp_path, capsys):
    faces = tmp_path / "faces"
    assert main(["export", "--dataset", "synthfaces", "--limit", "4", "-o", str(faces)]) == 0
    with (faces / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    classifier = torch.jit.load(str(faces / "classifier.ts")).eval()
    for row in rows[:3]:  # a stranger's program: gradient steps on the pixels
        pixels = np.array(Image.open(faces / row["input"]))
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        sign = 1 if row["target"] == "1" else -1
        for _ in range(10):
            x = x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(sign * classifier(x).sum(), x)
            x = (x + 0.02 * gradient.sign()).clamp(-1, 1)
        made = ((x.detach()[0] + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(made).save(faces / row["counterfactual"])
    capsys.readouterr()
    folder = imported(faces, tmp_path / "run", "--dataset", "synthfaces", "--name", "mine")
    assert "left out: synthfaces-test-00003" in capsys.readouterr().err
    assert [row.flipped for row in folder.rows()] == [True] * 3
    assert [str(row.prediction) for row in folder.rows()] == [r["prediction"] for r in rows[:3]]
    assert main(["evaluate", str(folder.path)]) == 0
    assert metrics(folder.path)["gt_l1"]["value"] > 0


def test_only_our_own_images_are_handed_out(tmp_path, capsys):
    assert main(["export", "--dataset", "celeba", "-o", str(tmp_path / "x")]) == USAGE
    assert "celeba is not ours to hand out" in capsys.readouterr().err
