"""Contact sheets: the columns they have, and those they leave out."""

from __future__ import annotations

import pytest
import torch

from vcebench.data.registry import dataset_entry
from vcebench.folders.runfolder import RunFolder
from vcebench.showing import pictures
from vcebench.showing.pictures import contact_sheet

TASK = dataset_entry("synthfaces").task("smile")
SIDE = 64
NOWHERE, EVERYWHERE = torch.zeros(SIDE, SIDE).bool(), torch.ones(SIDE, SIDE).bool()


def width(columns: int) -> int:
    """Of a sheet of one block."""
    gap = pictures._GAP
    return columns * (pictures.TILE + gap) + 3 * gap


@pytest.mark.parametrize(
    ("masks", "columns"),
    [
        ([None, None], 4),
        ([(EVERYWHERE, EVERYWHERE)] * 2, 4),
        ([(EVERYWHERE, NOWHERE)] * 2, 5),
        ([(NOWHERE, EVERYWHERE)] * 2, 5),
        ([(NOWHERE, NOWHERE)] * 2, 6),
        ([None, (NOWHERE, NOWHERE)], 6),
    ],
)
def test_a_column_that_no_image_fills_is_left_out(masks, columns, fixture_run, monkeypatch):
    folder = fixture_run(ids=2, evaluated=False)
    given = {row.id: mask for row, mask in zip(folder.rows(), masks, strict=True)}
    monkeypatch.setattr(RunFolder, "masks", lambda self, row: given[row.id])
    assert contact_sheet(folder, TASK).width == width(columns)


def test_pictures_stand_under_their_headings(fixture_run, monkeypatch):
    folder = fixture_run(ids=2, evaluated=False)
    first, second = folder.rows()
    masks = {first.id: None, second.id: (NOWHERE, NOWHERE)}
    monkeypatch.setattr(RunFolder, "masks", lambda self, row: masks[row.id])
    sheet = contact_sheet(folder, TASK)
    last = sheet.width - 3 * pictures._GAP - pictures.TILE // 2
    middle = pictures._HEAD + pictures._TITLE + pictures.TILE // 2
    assert sheet.getpixel((last, middle)) != pictures._PAPER  # the truth, not shifted to a mask's
    assert sheet.getpixel((last - 2 * (pictures.TILE + pictures._GAP), middle)) == pictures._PAPER
