"""What a program said of its own results, against what its folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from vcebench.errors import UserError
from vcebench.folders.foreign.pairs import Found
from vcebench.folders.foreign.reading import UnusableFileError, entries, read_bounded
from vcebench.folders.foreign.trees import RESULTS

LARGEST = 64 * 2**10
_MOST = 10**9
_TOLERANCE = 0.0051  # printed with two or three decimals


def checks(found: Found) -> list[str]:
    """Lines that compare number of images and flip rate with summary.yaml, chunks added up.

    The summaries are not needed for anything else; one that cannot be read says so.
    """
    if found.experiment is None:
        return []
    base = f"{RESULTS}/{found.experiment}"
    names = [name for name in entries(found.root, base) if name.endswith("summary.yaml")]
    chunks = [name for name in names if name != "summary.yaml"]
    chosen = ["summary.yaml"] if "summary.yaml" in names else chunks
    if not chosen:
        return []
    total, flipped = 0, 0.0
    for name in chosen:
        try:
            content = yaml.safe_load(read_bounded(found.root, f"{base}/{name}", LARGEST))
            n, rate = _said(content, found.part)
        except (yaml.YAMLError, ValueError, RecursionError, UnicodeDecodeError) as error:
            if isinstance(error, UserError) and not isinstance(error, UnusableFileError):
                raise
            return [f"{name} cannot be read and is not compared"]
        total, flipped = total + n, flipped + n * rate
    return _compared(found, total, flipped / total if total else 0.0)


def _said(content: Any, part: str | None) -> tuple[int, float]:
    """(n, flip rate as a fraction). Raises ValueError if they are not there."""
    if not isinstance(content, Mapping):
        raise ValueError("no entries")
    if "cf acc" in content:  # DiME's line: counts by cell
        cells = [content.get(side) for side in ("class-cor", "class-inc")]
        counts = [
            cell[outcome]["n"]
            for cell in cells
            if isinstance(cell, Mapping)
            for outcome in ("cf-cor", "cf-inc")
            if isinstance(cell.get(outcome), Mapping) and "n" in cell[outcome]
        ]
        return sum(_whole(count) for count in counts), _rate(content["cf acc"])
    inner = content.get(part or "explanation")
    if not isinstance(inner, Mapping) or "cf" not in inner or "n" not in content:
        raise ValueError("no n and cf")
    return _whole(content["n"]), _rate(inner["cf"])


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError("n is no number of images")
    return value


def _rate(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("the flip rate is no fraction")
    return float(value)


def _compared(found: Found, total: int, rate: float) -> list[str]:
    lines = []
    listed = len(found.pairs) + len(found.left_out)
    if total != listed:
        lines.append(f"summary.yaml speaks of {total} images, the folder holds {listed}")
    flips = [pair.flipped for pair in found.pairs if pair.flipped is not None]
    here = sum(flips) / len(flips) if flips else 0.0
    if abs(here - rate) > _TOLERANCE:
        lines.append(
            f"summary.yaml says a flip rate of {100 * rate:.1f} %, the rows give {100 * here:.1f} %"
        )
    return lines or [f"summary.yaml agrees: {total} images, flip rate {100 * rate:.1f} %"]
