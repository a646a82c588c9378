"""The picture of a task: one column a method, two lines an image."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vcebench.folders.runfolder import RunFolder
from vcebench.jobs.truthsheet import _GAP, _HEAD, task_sheet
from vcebench.showing.pictures import TILE

SIDE = TILE
RED = (214, 39, 40)


def write(tmp_path, fake_run, method, rows, width=64):
    path = fake_run(
        tmp_path / method, method, images=len(rows), rows=rows, dataset="synthfaces", task="smile"
    )
    for kind, level in (("inputs", 100), ("counterfactuals", 200), ("truths", 150)):
        (path / kind).mkdir()
        for index in range(len(rows)):
            picture = Image.fromarray(np.full((64, width, 3), level, dtype=np.uint8))
            picture.save(path / kind / f"fake-{index:05d}.png")
    return RunFolder(path)


def test_columns_are_input_truth_and_methods_and_a_red_frame_marks_what_did_not_flip(
    tmp_path, fake_run
):
    targets = [{"target": index % 2} for index in range(6)]
    folders = [
        write(tmp_path, fake_run, "maskdime", targets),
        write(tmp_path, fake_run, "pgd", [{**row, "flipped": False} for row in targets]),
    ]
    sheet = task_sheet(folders, count=4)
    assert sheet.size == (4 * (SIDE + _GAP) + _GAP, _HEAD + 8 * (SIDE + _GAP))

    def at(line, column, offset):
        x, y = _GAP + column * (SIDE + _GAP) + offset, _HEAD + line * (SIDE + _GAP) + offset
        return sheet.getpixel((x, y))

    assert [at(0, column, SIDE // 2)[0] for column in range(4)] == [100, 150, 200, 200]
    assert at(0, 3, -1) == RED
    assert at(0, 2, -1) == (255, 255, 255)
    assert at(1, 0, SIDE // 2) == (255, 255, 255)  # nothing below the input
    assert at(1, 3, SIDE // 2)[2] < 150  # brighter: red


def test_wide_pictures_leave_no_gap_between_lines(tmp_path, fake_run):
    sheet = task_sheet([write(tmp_path, fake_run, "maskdime", [{"target": 0}], width=128)])
    assert sheet.size == (3 * (2 * SIDE + _GAP) + _GAP, _HEAD + 2 * (SIDE + _GAP))


def test_runs_without_a_common_image_have_no_picture(tmp_path, fake_run):
    folders = [
        write(tmp_path, fake_run, "maskdime", [{"target": 0}]),
        write(tmp_path, fake_run, "pgd", [{"target": 0, "status": "non-finite"}]),
    ]
    assert task_sheet(folders) is None
