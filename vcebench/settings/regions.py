"""How a person says where images may change: `--region`, and the region of a configuration.

cells[:PERCENT][:ATTRIBUTION]   the cells that say most about the class
pixels[:PERCENT][:ATTRIBUTION]  the same, pixel by pixel
free-form:LOW-HIGH              brush strokes at random that cover so many percent
all                             the whole image
truth                           what the true counterfactual changes (rendered sets)
part:NAME                       one thing in the picture (rendered sets)
files:DIGEST                    masks from a folder, by the digest of its files
"""

from __future__ import annotations

from dataclasses import dataclass

from vcebench.errors import UserError
from vcebench.methods.core.attributions import ATTRIBUTIONS, DEFAULT
from vcebench.methods.core.errors import unknown

CAPTUM = "captum:"
FORMS = "cells, pixels, free-form:10-20, all, truth, part:NAME, or a folder of masks"


@dataclass(frozen=True)
class RegionChoice:
    """What `--region` says.

    Attributes:
        kind: the word before the first colon.
        low, high: share of the image, in [0, 1]; `high` alone counts unless it is a free form.
        name: of the attribution, the part, or the digest of the files.
    """

    kind: str
    low: float = 0.0
    high: float = 0.3
    name: str = ""

    @property
    def per_image(self) -> bool:
        """Whether it is read or drawn for each image before it is explained."""
        return self.kind in ("truth", "part", "files")


def parse_region(text: str) -> RegionChoice:
    """The choice behind a text; raises `UserError` in one line for anything else."""
    kind, _, rest = text.partition(":")
    if kind in ("cells", "pixels"):
        return _attributed(text, kind, rest)
    if kind == "free-form":
        low, high = _range(text, rest)
        return RegionChoice("free-form", low, high)
    if kind in ("all", "truth") and not rest:
        return RegionChoice(kind)
    if kind in ("part", "files") and rest:
        return RegionChoice(kind, name=rest)
    raise UserError(f"region {text!r} is neither {FORMS}")


def _attributed(text: str, kind: str, rest: str) -> RegionChoice:
    """`cells` and `pixels`, with an area and an attribution if they are given."""
    first, _, others = rest.partition(":")
    area = 0.3
    if first[:1].isdigit():
        area, rest = _percent(text, first), others
    name = rest or DEFAULT
    if not name.startswith(CAPTUM) and name not in ATTRIBUTIONS:
        raise UserError(str(unknown("attribution", name, [*ATTRIBUTIONS, f"{CAPTUM}NAME"])))
    return RegionChoice(kind, high=area, name=name)


def _range(text: str, rest: str) -> tuple[float, float]:
    low, dash, high = rest.partition("-")
    if not dash:
        raise UserError(f"region {text!r} needs two percentages, such as free-form:10-20")
    found = _percent(text, low), _percent(text, high)
    if found[0] >= found[1]:
        raise UserError(f"region {text!r}: the first percentage must be the smaller one")
    return found


def _percent(text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 < value <= 100:
        raise UserError(f"region {text!r}: {number!r} is no percentage above 0 and up to 100")
    return value / 100
