"""The contact sheet: scenes, one intervention per cause and on the label, and where it acts."""

from __future__ import annotations

from PIL import Image

from vcebench.data.rendered.dataset import Flags
from vcebench.data.rendered.sheet import Drawn, draw_sheet
from vcebench.data.synthroads import scm
from vcebench.data.synthroads.dataset import SynthRoads
from vcebench.data.synthroads.factors import Factors
from vcebench.data.synthroads.render import render


def contact_sheet(
    *, split: str = "test", seed: int = 0, columns: int = 6, rows: int = 5, scale: int = 2
) -> Image.Image:
    """Scenes of a split; their true counterfactuals (the line `Forward`); interventions."""

    def flip(factors: Factors, name: str, wanted: Flags) -> Factors:
        return factors.go(wanted) if name == scm.LABEL else factors.do({name: wanted})

    scenes = SynthRoads(split=split, seed=seed)
    title = f"synthroads, {split}: examples 0 and on"
    drawn = Drawn(title, (scm.LABEL, *scm.NAMES), scenes.factors, render, flip)
    return draw_sheet(drawn, columns, rows, scale)
