"""A calibrated unit flips most images, stands in the file, and is that of the run."""

import json
from itertools import count
from types import SimpleNamespace

import pytest
from owntask import OwnTask
from PIL import Image

from vcebench.jobs import calibrating
from vcebench.settings.custom import read_custom


@pytest.fixture
def task(tmp_path):
    task = OwnTask(tmp_path / "task").images(4)
    text = task.config.read_text().replace("unit = 500.0\n", "# how strongly\n")
    task.config.write_text(text)
    return task


def test_calibrate_finds_a_unit_and_the_run_uses_it(task, capsys):
    before = task.config.read_text()
    assert task.run("--dry-run") == 0
    assert "is not calibrated" in capsys.readouterr().err
    words = ("calibrate", "--config", task.config, "--images", 8, "--format", "json")
    assert task.call(*words, "--no-write") == 0
    assert task.config.read_text() == before
    (row,) = json.loads(capsys.readouterr().out)
    assert row["flipped %"] >= 90
    assert task.call(*words) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == [row]
    with Image.open(task.path / "own-maskdime.png") as sheet:
        assert sheet.width > sheet.height // 2
    assert "# how strongly" in task.config.read_text()
    assert read_custom(task.config)[0].classifier.units == {"maskdime": row["unit"]}
    assert task.run("--limit", "8") == 0
    assert "is not calibrated" not in capsys.readouterr().err
    stored = task.folder().config().custom
    assert stored["classifier"]["unit"] == row["unit"]
    assert "units" not in stored["classifier"]
    flips = [found.flipped for found in task.rows().values()]
    assert 100 * sum(flips) / len(flips) == row["flipped %"]


@pytest.mark.parametrize(("method", "minutes", "images"), [("maskdime", 2, 4), ("dime", 4, 2)])
def test_a_search_ends_with_its_time_and_says_so(
    task, monkeypatch, capsys, method, minutes, images
):
    text = task.config.read_text().replace("lambda_class = [8.0]", "lambda_class = [32768.0]")
    task.config.write_text(text)
    now = count(0, 20)  # every look at the clock is twenty seconds later
    monkeypatch.setattr(calibrating, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    words = ("--method", method, "--format", "json")
    assert task.call("calibrate", "--config", task.config, *words) == 0
    captured = capsys.readouterr()
    (row,) = json.loads(captured.out)
    assert (row["unit"], row["units tried"], row["images"]) == (1.0, 1, images)
    assert f"about {minutes} minutes: {images} images are used" in captured.err
    assert "time is over before 0.25 was tried: 1 flips enough" in captured.err
    assert "--budget 4m has time for more" in captured.err


def test_a_time_that_is_none_is_refused(task, capsys):
    assert task.call("calibrate", "--config", task.config, "--budget", "soon") == 2
    assert "write a time such as 90s" in capsys.readouterr().err


def test_a_unit_of_another_method_changes_nothing(task, capsys):
    assert task.run() == 0
    text = task.config.read_text().replace("# how strongly", "units = { dime = 8.0 }")
    task.config.write_text(text)
    capsys.readouterr()
    assert task.run() == 0  # the same run, finished
    assert task.run("--dry-run") == 0
    assert "maskdime is not calibrated" in capsys.readouterr().err


def test_methods_without_a_unit_say_so(task, capsys):
    code = task.call("calibrate", "--config", task.config, "--method", "ace-l1")
    assert code == 2


def test_show_draws_ones_own_images_and_prior(task, capsys):
    sizes = []
    for more in ((), ("--prior",)):
        output = task.path / f"shown{len(more)}.png"
        assert task.call("show", "--config", task.config, "-o", output, *more) == 0
        assert capsys.readouterr().out.strip() == str(output)
        with Image.open(output) as sheet:
            sizes.append(sheet.size)
    assert sizes[0] != sizes[1]
    assert task.call("show") == 2
    assert "--config FILE.toml" in capsys.readouterr().err
