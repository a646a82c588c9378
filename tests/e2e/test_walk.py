"""The walk through an example of one's own: every command of the page, as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from vcebench.cli import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "own-data.md"
SHORTER = {"--steps 900": "--steps 5"}
"""What the test says instead, so that it takes a minute and no hour."""


def walk() -> str:
    """The section of the page."""
    return PAGE.read_text().partition("\n## A walk")[2].partition("\n## ")[0]


def commands() -> list[str]:
    """Its commands, in order."""
    lines = re.findall(r"^\$ (.*)$", walk(), re.M)
    assert lines
    return lines


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the example; a short walk in place of one of 60 steps."""
    folder = tmp_path / "strokes"
    kept = shutil.ignore_patterns("images", "runs", "own", "*.pt", "*.png")
    shutil.copytree(ROOT / "examples" / "strokes", folder, ignore=kept)
    for file in folder.glob("*.toml"):
        text = file.read_text().replace("limit = 64", "limit = 8")
        file.write_text(text + "tau = 3\n")
    monkeypatch.chdir(folder)
    return folder


def test_the_page_shows_pictures_that_are_there() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", walk())
    assert len(pictures) >= 3
    for picture in pictures:
        with Image.open(PAGE.parent / picture) as image:
            image.verify()


@pytest.mark.slow
def test_every_command_of_the_walk_runs(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in commands():
        for long, short in SHORTER.items():
            command = command.replace(long, short)
        program, *words = shlex.split(command)
        words = [str(p) for w in words for p in (sorted(Path().glob(w)) if "*" in w else [w])]
        if program == "python":
            monkeypatch.setattr("sys.argv", words)
            code = compile((place / words[0]).read_text(), str(place / words[0]), "exec")
            monkeypatch.syspath_prepend(place)
            exec(code, {"__name__": "__main__", "__file__": str(place / words[0])})
            continue
        assert program == "vcebench"
        found = main(words)
        captured = capsys.readouterr()
        assert found == 0, f"{command}\n{captured.out}\n{captured.err}"
    made = [json.loads(path.read_text())["config"] for path in Path("runs").glob("*/manifest.json")]
    assert len({config["method"] for config in made}) == 2
    assert len({config["dataset"] for config in made}) == 2
    assert (place / "site" / "index.html").is_file()
    assert "units" in (place / "strokes.toml").read_text()
