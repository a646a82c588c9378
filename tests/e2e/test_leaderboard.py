"""Leaderboard, remake and pack, from the command line."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from foreign_trees import Image8, write_tree

from vcebench.cli import USAGE, main
from vcebench.folders.packs import LIST, unpacked
from vcebench.folders.runfolder import RunFolder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and the same images imported as somebody else's."""
    path = tmp_path_factory.mktemp("runs")
    command = ["run", "--method", "pgd", "--dataset", "synthfaces", "--limit", "3"]
    assert main([*command, "--batch-size", "3", "--output", str(path / "own")]) == 0
    own = RunFolder(path / "own")
    rows = own.rows()
    kinds = (
        own.images(kind, rows).permute(0, 2, 3, 1).numpy() for kind in ("inputs", "counterfactuals")
    )
    images = [
        Image8(r.index, r.label, r.prediction, r.target, r.target, x, x_cf)
        for r, x, x_cf in zip(rows, *kinds, strict=True)
    ]
    write_tree(path / "tree", "time", images)
    command = ["import", str(path / "tree"), "--dataset", "synthfaces", "--name", "theirs"]
    assert main([*command, "--output", str(path / "theirs")]) == 0
    assert main(["evaluate", str(path / "theirs")]) == 0
    return path


@pytest.fixture
def own(runs: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(runs / "own", tmp_path / "own"))


def test_every_row_says_how_it_is_known(runs, own, tmp_path, capsys):
    assert main(["remake", str(own), "--images", "3"]) == 0
    said = capsys.readouterr()
    assert "3 of 3 counterfactuals have the same pixels" in said.err
    assert "verdict: OK" in said.err
    assert main(["pack", str(runs / "own"), "-o", str(tmp_path / "own.zip")]) == 0
    given = [str(own), str(runs / "theirs"), str(tmp_path / "own.zip")]
    assert main(["leaderboard", *given, "-o", str(tmp_path / "site")]) == 0
    page = (tmp_path / "site/synthfaces-smile-test.html").read_text()
    for how in ("re-made", "imported", "measured"):
        assert f"<b>{how}</b>" in page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert "not known" in page
    assert 'href="galleries/002/index.html"' in page
    assert (tmp_path / "site/galleries/003/index.html").is_file()
    index = (tmp_path / "site/index.html").read_text()
    assert "3 runs on 1 task" in index


def test_a_verdict_is_not_believed_from_a_pack(own, tmp_path):
    assert main(["remake", str(own), "--images", "1"]) == 0
    assert main(["pack", str(own), "-o", str(tmp_path / "p.zip")]) == 0
    with unpacked(tmp_path / "p.zip") as folder:
        assert not (folder.path / "remake.json").exists()
        assert folder.manifest()["data_root"] is None
        assert "command" not in folder.manifest()["sittings"][0]


def test_a_pack_holds_no_more_than_sixteen_pictures(tmp_path, fixture_run):
    folder = fixture_run("maskdime", ids=20)
    assert main(["pack", str(folder.path), "-o", str(tmp_path / "p.zip")]) == 0
    with unpacked(tmp_path / "p.zip") as found:
        assert len(found.rows()) == 20
        assert len(list((found.path / "counterfactuals").iterdir())) == 16
        assert found.images("counterfactuals", found.rows()[:16]).shape[0] == 16


def test_figures_that_their_single_values_contradict_are_refused(own, tmp_path, capsys):
    path = own / "metrics.json"
    content = json.loads(path.read_text())
    (record,) = [r for r in content["metrics"] if r["id"] == "l1"]
    record["value"] /= 10
    path.write_text(json.dumps(content))
    assert main(["leaderboard", str(own), "-o", str(tmp_path / "site")]) == USAGE
    assert "but its single values say otherwise" in capsys.readouterr().err
    record["value"] = -1
    path.write_text(json.dumps(content))
    assert main(["leaderboard", str(own), "-o", str(tmp_path / "site")]) == USAGE
    assert "is -1.0, which cannot be" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_what_was_made_elsewhere_cannot_be_made_again(runs, capsys):
    assert main(["remake", str(runs / "theirs")]) == USAGE
    assert "made by code that is not part of this package" in capsys.readouterr().err


def repacked(source: Path, target: Path, change) -> Path:
    """A pack with its members changed: name → content, in place."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def _exchanged(members):
    members["metrics.json"] += b" "


def _escaped(members):
    members["../../evil.png"] = b"x"


def _code(members):
    members["inputs/x.py"] = b"print()"


def _unlisted(members):
    members["inputs/a.png"] = b"x"


def _no_list(members):
    del members[LIST]


def _bomb(members):
    members["inputs/a.png"] = bytes(300 * 2**20)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_exchanged, "metrics.json is not the file that its list says"),
        (_escaped, "'../../evil.png', which is no file of a run"),
        (_code, "'inputs/x.py', which is no file of a run"),
        (_unlisted, "holds other files than its list says"),
        (_no_list, "its list of files is not that of one"),
        (_bomb, "would unpack to more than 256 MiB"),
    ],
)
def test_a_pack_that_is_not_what_it_says_is_refused(runs, tmp_path, capsys, change, complaint):
    assert main(["pack", str(runs / "own"), "-o", str(tmp_path / "good.zip")]) == 0
    bad = repacked(tmp_path / "good.zip", tmp_path / "bad.zip", change)
    capsys.readouterr()
    assert main(["leaderboard", str(bad), "-o", str(tmp_path / "site")]) == USAGE
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.zip", "good.zip"]


def test_any_other_file_is_no_pack(tmp_path, capsys):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 nothing")
    assert main(["leaderboard", str(tmp_path / "x.zip"), "-o", str(tmp_path / "s")]) == USAGE
    assert "is no pack of a run" in capsys.readouterr().err
