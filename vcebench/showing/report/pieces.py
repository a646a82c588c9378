"""The data of the gallery, in script files that a page loads when it needs them.

A page that is opened from its folder may load scripts but read no other file, so every piece of
data is a call: `ReportData.take(name, content)`. Three kinds of files lie in `data/`:

- images-NNNNN: `PIECE` images each, what their cards show;
- correct, run-K: a byte an image, what the filters look at;
- run-K-ORDER, ids: a number or the name of every image, for orders and for the search.

The page itself holds the head, which does not grow with the images.
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vcebench.showing.report.gallery import ORDERS, Result, Shown
from vcebench.showing.report.html import embedded_json
from vcebench.showing.report.runs import Item, RunView, subjects

PIECE = 1000
"""Images in a file."""

# Bits of a result, as static/data.js reads them.
_EXPLAINED, _FLIPPED, _FINITE, _MASK, _UNKNOWN, _ALREADY, _REGION = 1, 2, 4, 8, 16, 32, 64
_WRONG, _CORRECT, _NOT_KNOWN = 0, 1, 2


class Pieces:
    """Writes the data of a report, image by image.

    Args:
        folder: of the data; made.
        runs: all runs.
        items: all images, in order; those of a subject stand together.
    """

    def __init__(self, folder: Path, runs: Sequence[RunView], items: Sequence[Item]) -> None:
        folder.mkdir()
        self._folder = folder
        self._runs = runs
        self._total = len(items)
        self._ranges = _ranges(items, runs)
        self._words: dict[str, int] = {}
        self._piece: list[list[Any]] = []
        self._ids: list[str] = []
        self._correct = bytearray()
        self._flags = {run.number: bytearray(self._size(run)) for run in runs}
        self._values: dict[tuple[int, str], array[float]] = {}

    def add(self, image: Shown) -> None:
        """The next image."""
        item = image.item
        correct = item.row.correct
        known = _CORRECT if correct else _WRONG
        self._correct.append(_NOT_KNOWN if correct is None else known)
        # A name cannot hold a line break on the page either.
        self._ids.append(" ".join(item.id.lower().splitlines()))
        words = [self._word(text) for text in (image.source, image.target, image.label)]
        results = [self._result(result, item) for result in image.results]
        truth = int(image.truth is not None)
        self._piece.append([item.id, *words, self._correct[-1], *image.size, truth, results])
        if len(self._piece) == PIECE:
            self._write_piece()

    def close(self) -> dict[str, Any]:
        """Write what is left; returns the head, which the page holds."""
        if self._piece:
            self._write_piece()
        self._write("ids", "\n".join(self._ids))
        self._write("correct", _encoded(self._correct))
        for number, flags in self._flags.items():
            self._write(f"run-{number}", _encoded(flags))
        for (number, order), values in self._values.items():
            self._write(f"run-{number}-{order}", _encoded(values))
        ordered: dict[str, list[int]] = {order: [] for _, order in self._values}
        for number, order in self._values:
            ordered[order].append(number - 1)
        titles = list(self._ranges)
        return {
            "images": self._total,
            "piece": PIECE,
            "words": list(self._words),
            "subjects": [
                {"title": subject.title, "split": subject.split, "start": start, "end": end}
                for subject, (start, end) in self._ranges.items()
            ],
            "runs": [
                {
                    "label": run.label,
                    "subject": titles.index(run.subject),
                    "suffix": run.folder.codec().suffix,
                }
                for run in self._runs
            ],
            "orders": [
                {
                    "id": order.id,
                    "title": order.title,
                    "higher": order.higher_is_better,
                    "runs": ordered[order.id],
                }
                for order in ORDERS
                if order.id in ordered
            ],
        }

    def _size(self, run: RunView) -> int:
        start, end = self._ranges[run.subject]
        return end - start

    def _word(self, text: str) -> int:
        return self._words.setdefault(text, len(self._words))

    def _result(self, result: Result, item: Item) -> list[Any]:
        run, row = result.run, result.row
        position = item.number - 1 - self._ranges[item.subject][0]
        bits = {
            _EXPLAINED: True,
            _FLIPPED: row.flipped,
            _FINITE: row.finite,
            _MASK: "mask" in result.pictures,
            _UNKNOWN: row.flipped is None,
            _ALREADY: row.already_target,
            _REGION: "region" in result.pictures,
        }
        flags = sum(bit for bit, holds in bits.items() if holds)
        self._flags[run.number][position] = flags
        for order, value in result.values.items():
            if value is None:
                continue
            if (run.number, order) not in self._values:
                empty = array("f", [math.nan]) * self._size(run)
                self._values[run.number, order] = empty
            self._values[run.number, order][position] = value
        probability = result.values.get("target_probability")
        return [run.number - 1, flags, None if probability is None else round(probability, 4)]

    def _write_piece(self) -> None:
        number = -(-len(self._ids) // PIECE)
        self._write(f"images-{number:05d}", self._piece)
        self._piece = []

    def _write(self, name: str, content: Any) -> None:
        text = f"ReportData.take({embedded_json(name)}, {embedded_json(content)});\n"
        (self._folder / f"{name}.js").write_text(text, encoding="utf-8")


def _ranges(items: Sequence[Item], runs: Sequence[RunView]) -> dict[Any, tuple[int, int]]:
    """Subject → its first image and the one after its last, counted from 0."""
    found = dict.fromkeys(subjects(runs), (0, 0))
    for position, item in enumerate(items):
        start = found[item.subject][0] if found[item.subject][1] else position
        found[item.subject] = (start, position + 1)
    return found


def _encoded(values: bytearray | array[float]) -> str:
    """Bytes, or little-endian float32, in base 64."""
    if isinstance(values, array) and sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(bytes(memoryview(values).cast("B"))).decode()
