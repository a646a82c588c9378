"""The contact sheet: faces, one intervention per attribute, and where it acts."""

from __future__ import annotations

from PIL import Image

from vcebench.data.rendered.dataset import Flags
from vcebench.data.rendered.sheet import Drawn, draw_sheet
from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.data.synthfaces.factors import Factors
from vcebench.data.synthfaces.render import render
from vcebench.data.synthfaces.scm import NAMES


def contact_sheet(
    *, split: str = "test", seed: int = 0, columns: int = 12, rows: int = 4, scale: int = 2
) -> Image.Image:
    """Faces of a split, and what an intervention on each attribute, or the patch, does to some."""

    def flip(factors: Factors, name: str, wanted: Flags) -> Factors:
        return factors.do({name: wanted})

    faces = SynthFaces(split=split, seed=seed)
    title = f"synthfaces, {split}: examples 0 and on"
    return draw_sheet(Drawn(title, NAMES, faces.factors, render, flip), columns, rows, scale)
