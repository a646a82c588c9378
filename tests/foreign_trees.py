"""Folders as the four programs and TiME write them: of plain colours, or of real images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]

SUFFIX = {"ace": ".png", "dime": ".jpg", "maskdime": ".jpg", "fastdime": ".jpg", "time": ".png"}
LEAVES = ("CF", "Info", "Noise", "SM")


@dataclass(frozen=True)
class Image8:
    """One image of a tree: number, verdicts as Info states them, pictures (H, W, 3)."""

    number: int
    label: int
    pred: int
    target: int
    cf_pred: int
    x: Picture
    x_cf: Picture

    @property
    def cell(self) -> tuple[str, str]:
        side = "CC" if self.pred == self.label else "IC"
        return side, "CCF" if self.cf_pred == self.target else "ICF"


def plain(colour: int, height: int = 8, width: int = 8) -> Picture:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def image(number: int, label: int, pred: int, target: int, cf_pred: int) -> Image8:
    """One of plain colours, which JPEG keeps to a level."""
    x, x_cf = plain(40 + 20 * number), plain(60 + 20 * number)
    return Image8(number, label, pred, target, cf_pred, x, x_cf)


THREE = (image(0, 1, 1, 0, 0), image(1, 1, 0, 1, 1), image(2, 0, 0, 1, 0))
"""Targets 0, 1, 1; correct T F T; flipped T T F."""


def info(layout: str, one: Image8, shortcut: bool = False) -> str:
    form = "{:.1f}" if layout in ("ace", "time") else "{:d}"
    lines = [("label", form.format(one.label))]
    if shortcut:
        lines.append(("task_label", form.format(1 - one.label)))
    lines += [
        ("pred", form.format(one.pred)),
        ("target", form.format(one.target)),
        ("cf pred", form.format(one.cf_pred)),
    ]
    change = np.abs(one.x.astype(int) - one.x_cf.astype(int)) / 255
    if layout in ("ace", "time"):
        lines += [("l_inf", f"{change.max()}"), ("l_1", f"{change.mean()}")]
    elif layout == "fastdime" and not shortcut:
        lines += [("BKL", "0.03"), ("MAD", "0.9"), ("orig_conf", "0.05"), ("cf_conf", "0.95")]
        lines += [("l_1", f"{change.mean()}")]
    else:
        lines += [("BKL", "0.03"), ("l_1", f"{change.mean()}")]
    return "\n".join(f"{key}: {value}" for key, value in lines)


def write_tree(
    out: Path,
    layout: str,
    images: Iterable[Image8],
    exp: str = "e",
    part: str | None = None,
    shortcut: bool = False,
) -> Path:
    """Write a tree, or more of it; returns the folder of its cells."""
    suffix = SUFFIX[layout]
    leaves = [name if (name, layout) != ("Noise", "time") else "Rec" for name in LEAVES]
    base = out / "Results" / exp / (part or "")
    for side in ("CC", "IC"):
        for outcome in ("CCF", "ICF"):
            for leaf in leaves:
                (base / side / outcome / leaf).mkdir(parents=True, exist_ok=True)
    for side in ("Correct", "Incorrect"):
        (out / "Original" / side).mkdir(parents=True, exist_ok=True)
    for one in images:
        name = f"{one.number:07d}"
        side, outcome = one.cell
        cell = base / side / outcome
        original = out / "Original" / ("Correct" if side == "CC" else "Incorrect")
        Image.fromarray(one.x).save(original / f"{name}{suffix}")
        Image.fromarray(one.x_cf).save(cell / "CF" / f"{name}{suffix}")
        Image.fromarray(one.x).save(cell / leaves[2] / f"{name}{suffix}")
        difference = np.abs(one.x.astype(int) - one.x_cf.astype(int)).astype(np.uint8)
        grey = layout == "ace"
        Image.fromarray(difference[..., 0] if grey else difference).save(
            cell / "SM" / f"{name}{suffix}"
        )
        (cell / "Info" / f"{name}.txt").write_text(info(layout, one, shortcut))
    return base


def ace(out: Path) -> Path:
    """Both parts of ACE, image 2 flipped in pre-explanation only, and the summary."""
    write_tree(out, "ace", THREE, part="explanation")
    flipped = (*THREE[:2], image(2, 0, 0, 1, 1))
    write_tree(out, "ace", flipped, part="pre-explanation")
    numbers = "'cf5': 1.0, 'untargeted': 0.5, 'untargeted5': 0.5, 'l1': 0.1, 'l inf': 0.5}"
    (out / "Results/e/summary.yaml").write_text(
        f"{{'n': 3, 'clean acc': 0.6667, 'clean acc5': 1.0, 'explanation': {{'cf': 0.6667, "
        f"{numbers}, 'pre-explanation': {{'cf': 1.0, {numbers}}}"
    )
    return out


def dime(out: Path, layout: str = "dime", images: Sequence[Image8] = THREE) -> Path:
    """DiME's tree two levels deep, with a trap in `stats.pth` and stored steps."""
    base = write_tree(out, layout, images, exp="exp/name")
    (base / "stats.pth").write_bytes(b"cos\nsystem\n(S'touch " + bytes(out / "pwned") + b"'\ntR.")
    steps = out / "x_t/exp/name/000000"
    steps.mkdir(parents=True)
    Image.fromarray(plain(9)).save(steps / "0000.jpg")
    return out
