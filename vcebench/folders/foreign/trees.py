"""The folders of DiME, ACE, FastDiME, MaskDiME and TiME: one writer's tree, with differences.

    OUT/Original/{Correct,Incorrect}/ID.EXT
    OUT/Results/EXP[/PART]/{CC,IC}/{CCF,ICF}/{CF,Info,…}/ID.*

CC and IC: the prediction on the input is, or is not, the label; CCF and ICF: the prediction on the
counterfactual is, or is not, the target. Info says so again, line by line, and is believed: folders
of an earlier run may have been left beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from vcebench.errors import UserError
from vcebench.folders.foreign.pairs import Found, Pair, class_number
from vcebench.folders.foreign.reading import UnusableFileError, entries, read_bounded

RESULTS, ORIGINAL = "Results", "Original"
LARGEST_INFO = 4096
_SIDES = {"CC": "Correct", "IC": "Incorrect"}
_OUTCOMES = ("CCF", "ICF")
_DEEPEST = 6
_NAMED = 10

Keep = Literal["refuse", "newest"]


@dataclass(frozen=True)
class Layout:
    """How a program differs from the common tree.

    Attributes:
        id: what `--layout` calls it.
        suffix: ending of its pictures.
        parts: kinds of results below an experiment, the one to take unless told otherwise first.
    """

    id: str
    suffix: str
    parts: tuple[str, ...] = ()


LAYOUTS: dict[str, Layout] = {
    layout.id: layout
    for layout in (
        Layout("ace", ".png", ("explanation", "pre-explanation")),
        Layout("dime", ".jpg"),
        Layout("fastdime", ".jpg"),
        Layout("maskdime", ".jpg"),
        Layout("time", ".png"),
    )
}


def experiments(root: Path) -> list[str]:
    """Experiments in a folder: every path below Results that holds CC and IC, ACE's parts apart."""
    parts = {part for layout in LAYOUTS.values() for part in layout.parts}
    found = set()
    for path in _holding_cells(root / RESULTS, _DEEPEST):
        inner = path.relative_to(root / RESULTS)
        found.add(str(inner.parent if inner.name in parts else inner))
    return sorted(found)


def _holding_cells(path: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(path) as found:
            folders = sorted(e.name for e in found if e.is_dir(follow_symlinks=False))
    except OSError:
        return
    if set(_SIDES) <= set(folders):
        yield path
    elif depth:
        for name in folders:
            yield from _holding_cells(path / name, depth - 1)


def chosen_experiment(root: Path, wanted: str | None) -> str:
    """The experiment asked for, or the only one there is.

    Raises `UserError` that lists those found.
    """
    found = experiments(root)
    if not found:
        raise UserError(
            f"{root} holds no folder {RESULTS}/…/ with CC and IC; give the folder that the program "
            "wrote Original and Results into, or --layout pairs"
        )
    if wanted is None:
        if len(found) == 1:
            return found[0]
        raise UserError(f"{root} holds several experiments: choose one with --exp: {_few(found)}")
    name = wanted.strip("/")
    if name not in found:
        near = get_close_matches(name, found, n=3, cutoff=0.3) or found
        raise UserError(f"{root} holds no experiment {wanted!r}; did you mean {_few(near)}?")
    return name


def detected(root: Path, experiment: str) -> Layout:
    """The layout of an experiment by its files.

    MaskDiME's are DiME's on disk, so that its name has to be said.

    Raises `UserError` if nothing tells.
    """
    base = f"{RESULTS}/{experiment}"
    for part in LAYOUTS["ace"].parts:
        if (root / base / part / "CC").is_dir():
            return LAYOUTS["ace"]
    for side, outcome, name in _files(root, base):
        if name.endswith(".png"):
            return LAYOUTS["time"]
        if name.endswith(".jpg"):
            path = f"{base}/{side}/{outcome}/Info/{Path(name).stem}.txt"
            try:
                info = read_info(root, path)
            except UnusableFileError:
                continue
            return LAYOUTS["fastdime" if {"MAD", "task_label"} & info.keys() else "dime"]
    raise UserError(
        f"{root / base} holds no counterfactual with its Info: there is nothing to import"
    )


def read_tree(
    root: Path, layout: Layout, experiment: str, part: str | None = None, keep: Keep = "refuse"
) -> Found:
    """The pairs of one experiment; see this module for the tree.

    Args:
        root: the folder that holds Original and Results.
        layout, experiment: which program, and which of its experiments.
        part: for ACE, "explanation" or "pre-explanation".
        keep: what to do with an image that lies in several cells, left there by an earlier run:
            "refuse", or "newest" by the time of its Info.

    Raises:
        UserError: nothing to import, an unknown part, an image in several cells, a link.
    """
    part, notes = _part(root, layout, experiment, part)
    base = "/".join(name for name in (RESULTS, experiment, part) if name)
    cells: dict[str, list[tuple[str, str]]] = {}
    left_out: dict[str, str] = {}
    for side, outcome, name in _files(root, base):
        id = Path(name).stem
        if not re.fullmatch(r"\d{1,9}", id) or Path(name).suffix != layout.suffix:
            left_out[f"{side}/{outcome}/CF/{name}"] = f"no number with the ending {layout.suffix}"
            continue
        cells.setdefault(id, []).append((side, outcome))
    cells, more = _one_cell_each(root, base, cells, keep)
    notes += more
    originals = {
        side: set(entries(root, f"{ORIGINAL}/{side}"))
        for side in _SIDES.values()
        if (root / ORIGINAL / side).is_dir()
    }
    pairs = []
    for id, [(side, outcome)] in sorted(cells.items()):
        try:
            pairs.append(_pair(root, base, layout, id, (side, outcome), originals))
        except UnusableFileError as error:
            left_out[id] = str(error)
    shared = [id for id in cells if all(f"{id}{layout.suffix}" in o for o in originals.values())]
    if len(originals) > 1 and shared:
        notes.append(
            f"{len(shared)} originals lie in Correct and in Incorrect; the row's own side is taken"
        )
    if not pairs and not left_out:
        raise UserError(f"{root / base} holds no counterfactual: there is nothing to import")
    return Found(
        root, layout.id, tuple(pairs), left_out, tuple(notes), experiment=experiment, part=part
    )


def _part(
    root: Path, layout: Layout, experiment: str, wanted: str | None
) -> tuple[str | None, list[str]]:
    """The part to take, and a note if there was a choice."""
    if not layout.parts:
        if wanted is not None:
            raise UserError(f"--part is for ACE's folders, not for {layout.id}; leave it away")
        return None, []
    there = [p for p in layout.parts if (root / RESULTS / experiment / p / "CC").is_dir()]
    if wanted is None and there:
        note = f"part {there[0]}; there is also {', '.join(there[1:])} (--part)"
        return there[0], [note] if len(there) > 1 else []
    if wanted not in there:
        raise UserError(f"{root / RESULTS / experiment} has no part {wanted!r}; use {_few(there)}")
    return wanted, []


def _files(root: Path, base: str) -> Iterator[tuple[str, str, str]]:
    """(side, outcome, file name) of every counterfactual."""
    for side in _SIDES:
        for outcome in _OUTCOMES:
            folder = f"{base}/{side}/{outcome}/CF"
            if (root / folder).is_dir():
                yield from ((side, outcome, name) for name in entries(root, folder))


def _one_cell_each(
    root: Path, base: str, cells: Mapping[str, list[tuple[str, str]]], keep: Keep
) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Every image in one cell, and a note if something had to be chosen."""
    several = sorted(id for id, places in cells.items() if len(places) > 1)
    if not several:
        return dict(cells), []
    if keep == "refuse":
        raise UserError(
            f"{root / base}: {len(several)} images lie in several cells, left by an earlier run "
            f"({_few(several)}); remove the old ones, or say --keep newest"
        )

    def age(id: str, place: tuple[str, str]) -> int:
        path = root / base / place[0] / place[1] / "Info" / f"{id}.txt"
        return path.lstat().st_mtime_ns if path.exists() else 0

    kept = {id: [max(places, key=lambda p: age(id, p))] for id, places in cells.items()}
    return kept, [f"{len(several)} images lie in several cells; the newest of each is taken"]


def _pair(
    root: Path,
    base: str,
    layout: Layout,
    id: str,
    cell: tuple[str, str],
    originals: Mapping[str, set[str]],
) -> Pair:
    """One image. Raises UnusableFileError: it has no Info, no original, or Info lacks a class."""
    side, outcome = cell
    info = read_info(root, f"{base}/{side}/{outcome}/Info/{id}.txt")
    numbers = {}
    for key in ("label", "pred", "target", "cf pred"):
        number = class_number(info.get(key, ""))
        if number is None:
            raise UnusableFileError(f"its Info says no {key}")
        numbers[key] = number
    name = f"{id}{layout.suffix}"
    if name not in originals.get(_SIDES[side], ()):
        raise UnusableFileError(f"no {ORIGINAL}/{_SIDES[side]}/{name}")
    return Pair(
        id=id,
        input=f"{ORIGINAL}/{_SIDES[side]}/{name}",
        counterfactual=f"{base}/{side}/{outcome}/CF/{name}",
        label=numbers["label"],
        target=numbers["target"],
        position=int(id),
        prediction=numbers["pred"],
        cf_prediction=numbers["cf pred"],
    )


def read_info(root: Path, path: str) -> dict[str, str]:
    """The lines of an Info file, "key: value" each.

    Raises UnusableFileError: there is none (it is written last, so the image is unfinished), or it
    is no such file.
    """
    if not (root / path).exists():
        raise UnusableFileError("unfinished: it has no Info")
    try:
        text = read_bounded(root, path, LARGEST_INFO).decode()
    except UnicodeDecodeError as error:
        raise UnusableFileError(f"{path} is no text") from error
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in lines}


def _few(names: list[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
