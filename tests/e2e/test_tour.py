"""The tour in the documentation runs from its first to its last cell."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TOUR = Path(__file__).parents[2] / "docs" / "tour.ipynb"


@pytest.mark.slow
def test_the_tour_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    client = NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    kinds = {kind for cell in notebook.cells for o in cell.get("outputs", ()) for kind in _of(o)}
    assert {"image/png", "text/html"} <= kinds
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_the_tour_is_committed_with_its_outputs() -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in _of(output) for output in outputs)


def _of(output: nbformat.NotebookNode) -> list[str]:
    return list(output.get("data", {}))
