"""Who says which images are flipped, and which inputs were classified correctly.

It is the classifier that looks at the stored files. An imported run can be measured without one:
then what its program said stands, and where that is not known nothing counts by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vcebench.folders.rows import Row
from vcebench.metrics.populations import Population

Booleans = npt.NDArray[np.bool_]

FOREIGN = "its program's own verdicts"
STORED = "verdicts of the import"
"""What stands in the place of the classifier's name."""
FILED = "its-program"
"""Name of the evaluation that counts images as the program that made them filed them."""


@dataclass(frozen=True)
class Verdicts:
    """Verdicts on n images.

    Attributes:
        flipped, correct: (n,) booleans; False where nobody knows.
        unsure: what is not known of some images → of how many.
        by: whose they are if no classifier looked at the images, `FOREIGN` or `STORED`.
    """

    flipped: Booleans
    correct: Booleans
    unsure: Mapping[str, int]
    by: str | None = None

    def lacking(self, population: Population) -> str | None:
        """Why nobody knows which images a population holds; None if it is known."""
        for name, count in self.unsure.items():
            if name in population:
                what = "the target was reached" if name == "flipped" else "its input was understood"
                return (
                    f"there is no classifier, and the program does not say of {count} of "
                    f"{len(self.flipped)} images whether {what}"
                )
        return None


def verdicts(rows: Sequence[Row], values: Mapping[str, npt.NDArray[Any]]) -> Verdicts:
    """Those of the classifier that looked at the images, else those in their rows.

    Args:
        rows: of the images.
        values: what was found in them, by name (`extraction.Extracted`).
    """
    if "margin" in values:
        correct = np.asarray(values["correct"], dtype=bool)
        return Verdicts(np.asarray(values["margin"] > 0, dtype=bool), correct, {})
    by = FOREIGN if all(row.margin is None for row in rows) else STORED
    return _of([row.flipped for row in rows], [row.correct for row in rows], by)


def as_filed(rows: Sequence[Row]) -> Verdicts:
    """Those of the program that made the images, whatever a classifier says."""
    flipped = [row.flipped_foreign for row in rows]
    # An unlabelled image counts as classified correctly, as everywhere.
    return _of(flipped, [True if row.label < 0 else _agrees(row) for row in rows], FOREIGN)


def _agrees(row: Row) -> bool | None:
    return None if row.prediction_foreign is None else row.prediction_foreign == row.label


def _of(flipped: Sequence[bool | None], correct: Sequence[bool | None], by: str) -> Verdicts:
    counts = {"flipped": flipped.count(None), "correct": correct.count(None)}
    return Verdicts(
        np.array(flipped, dtype=bool),
        np.array(correct, dtype=bool),
        {name: count for name, count in counts.items() if count},
        by,
    )
