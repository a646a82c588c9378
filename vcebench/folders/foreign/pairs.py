"""Pairs of images that somebody else made: what every foreign folder is translated to.

`pairs.csv` is the door for everybody: one row a pair, with the columns input, counterfactual (paths
relative to the file), label, target, and where they are known id, prediction (of the input),
cf_prediction (of the counterfactual), seed, method. Without it, files of the folders inputs/ and
counterfactuals/ are matched by name.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vcebench.data.ids import safe_name
from vcebench.errors import UserError
from vcebench.folders.foreign.reading import entries, read_bounded

PAIRS = "pairs.csv"
INPUTS, COUNTERFACTUALS = "inputs", "counterfactuals"
LARGEST_LIST = 64 * 2**20
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")

_WHOLE = re.compile(r"[+-]?\d{1,9}(\.0*)?")


@dataclass(frozen=True)
class Pair:
    """One image and what a program made of it, both as paths within the foreign folder.

    Attributes:
        id: its name there, usable as a file name.
        input, counterfactual: paths relative to the folder.
        label: true class; None if it is not known.
        target: class the program was asked for; None leaves it to the task.
        position: of the input in the data set as the program counted it, None if it says nothing.
        prediction, cf_prediction: the program's verdicts on input and counterfactual, None if it
            does not tell them.
    """

    id: str
    input: str
    counterfactual: str
    label: int | None = None
    target: int | None = None
    position: int | None = None
    prediction: int | None = None
    cf_prediction: int | None = None

    @property
    def flipped(self) -> bool | None:
        """The program's verdict: the counterfactual is of the target class."""
        if self.cf_prediction is None or self.target is None:
            return None
        return self.cf_prediction == self.target


@dataclass(frozen=True)
class Found:
    """What a foreign folder holds.

    Attributes:
        root: the folder.
        layout: id of its layout.
        pairs: those that can be read, as far as their lists say.
        left_out: name in the folder → why it is none of them.
        notes: what a reader should know.
        method: what the folder calls the method, None if it does not.
        experiment, part: which of the folder's results, None where there is only one kind.
    """

    root: Path
    layout: str
    pairs: tuple[Pair, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    method: str | None = None
    experiment: str | None = None
    part: str | None = None


def read_list(
    path: Path, classes: Mapping[str, int], seed: int | None = None, method: str | None = None
) -> Found:
    """The pairs of a `pairs.csv`.

    Args:
        path: the file; its folder is the root that no path may leave.
        classes: names of the task's classes, accepted in place of their numbers.
        seed, method: take only rows with these values, where there are such columns.

    Raises:
        UserError: unreadable, a column is missing, a path leads out of the folder, a value is no
            class, an id comes twice, or rows of several seeds or methods are mixed.
    """
    root = path.parent
    try:
        text = read_bounded(root, path.name, LARGEST_LIST).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}); write it as CSV in UTF-8") from error
    columns = set(reader.fieldnames or ())
    if not {"input", "counterfactual"} <= columns:
        raise UserError(
            f"{path} needs a first line with input,counterfactual,label,target, then rows"
        )
    rows = _chosen(path, rows, "seed", None if seed is None else str(seed), "--seed")
    rows = _chosen(path, rows, "method", method, "--name")
    pairs = [_pair(path, line, row, classes) for line, row in rows]
    _distinct(path, pairs)
    names = {_cell(row, "method") for _, row in rows} - {""}
    return Found(root, "pairs", tuple(pairs), method=names.pop() if len(names) == 1 else None)


def _chosen(
    path: Path, rows: list[tuple[int, dict[str, str]]], column: str, wanted: str | None, option: str
) -> list[tuple[int, dict[str, str]]]:
    """Rows of one seed or method; where there are several, it must be said which."""
    known = sorted({_cell(row, column) for _, row in rows})
    if len(known) < 2:
        return rows
    if wanted not in known:
        raise UserError(f"{path} holds {column} {', '.join(known)}; choose one with {option}")
    return [(line, row) for line, row in rows if _cell(row, column) == wanted]


def _cell(row: Mapping[str, str | None], column: str) -> str:
    return (row.get(column) or "").strip()


def _pair(path: Path, line: int, row: Mapping[str, str | None], classes: Mapping[str, int]) -> Pair:
    files = {}
    for column in ("input", "counterfactual"):
        name = _cell(row, column)
        if not name:
            raise UserError(f"{path}, line {line}: {column} is empty; give a path")
        files[column] = _inner(path, line, name)
    numbers = {}
    for column in ("label", "target", "prediction", "cf_prediction"):
        text = _cell(row, column)
        number = classes.get(text, class_number(text))
        if text and number is None:
            known = ", ".join(classes) or "whole numbers"
            raise UserError(f"{path}, line {line}: {column} is {text!r}; use {known}")
        numbers[column] = number
    return Pair(
        id=safe_name(_cell(row, "id") or str(PurePosixPath(files["input"]).with_suffix(""))),
        input=files["input"],
        counterfactual=files["counterfactual"],
        label=numbers["label"],
        target=numbers["target"],
        prediction=numbers["prediction"],
        cf_prediction=numbers["cf_prediction"],
    )


def _inner(path: Path, line: int, name: str) -> str:
    """A path that cannot lead out of the folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0]:
        raise UserError(
            f"{path}, line {line}: {name!r} leads out of the folder; files have to lie inside it"
        )
    return "/".join(parts)


def class_number(text: str) -> int | None:
    """A class as programs write it, "1" or "1.0"; None for anything else.

    >>> class_number("1.0"), class_number("340"), class_number("nan"), class_number("0.5")
    (1, 340, None, None)
    """
    return int(float(text)) if _WHOLE.fullmatch(text.strip()) else None


def _distinct(path: Path, pairs: Iterable[Pair]) -> None:
    counts = Counter(pair.id for pair in pairs)
    twice = [id for id, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"{path} names {', '.join(twice[:5])} twice; give every pair an id of its own"
        )


def read_two_folders(root: Path) -> Found:
    """Files of inputs/ and counterfactuals/ matched by their names without ending.

    Raises `UserError` if a folder is missing, or a name comes twice in one.
    """
    inputs, made = (dict(_pictures(root, kind)) for kind in (INPUTS, COUNTERFACTUALS))
    left_out = {name: "no input of this name" for name in made if name not in inputs}
    left_out |= {name: "no counterfactual of this name" for name in inputs if name not in made}
    pairs = [
        Pair(safe_name(name), inputs[name], made[name]) for name in sorted(inputs) if name in made
    ]
    _distinct(root, pairs)
    return Found(root, "pairs", tuple(pairs), left_out)


def _pictures(root: Path, kind: str) -> Iterator[tuple[str, str]]:
    """(name, path within the root) of the pictures in a folder."""
    seen: set[str] = set()
    for entry in entries(root, kind):
        name, suffix = Path(entry).stem, Path(entry).suffix.lower()
        if suffix not in ENDINGS:
            continue
        if name in seen:
            raise UserError(f"{root / kind} holds {name} twice; leave one file of each name")
        seen.add(name)
        yield name, f"{kind}/{entry}"
