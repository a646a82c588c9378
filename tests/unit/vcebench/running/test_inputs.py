"""Whether a run is continued with the images it was begun with, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.running.inputs import check_inputs


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every drawing."""
    drawings: list[int] = []
    render = SynthFaces.render

    def counted(self: SynthFaces, factors: object) -> object:
        drawings.append(1)
        return render(self, factors)

    monkeypatch.setattr(SynthFaces, "render", counted)
    return drawings


def test_a_few_images_that_the_package_draws_are_drawn_again(
    fixture_run: Callable[..., RunFolder], drawn: list[int]
) -> None:
    folder = fixture_run(ids=48, pictures=48, evaluated=False)
    rows, images = folder.rows(), SynthFaces("smile", "test")
    drawn.clear()
    assert check_inputs(folder, rows, images) == []
    assert len(drawn) == 16
    renamed = [replace(row, id="other") if row.index == 1 else row for row in rows]
    with pytest.raises(UserError, match="no longer there or called otherwise"):
        check_inputs(folder, renamed, images)
    others = [replace(row, input_sha256="0" * 64) for row in rows]
    with pytest.raises(UserError, match="16 pictures are others"):
        check_inputs(folder, others, images)
