"""What a reader should know beside the figures of an imported run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vcebench.evaluating.verdicts import FOREIGN, Verdicts
from vcebench.folders.rows import Row

_JPEG = (".jpg", ".jpeg")


def remarks(manifest: Mapping[str, Any], rows: Sequence[Row], verdicts: Verdicts) -> list[str]:
    """Notes on an import: its file format, verdicts that differ, images left out; else none.

    Args:
        manifest: of the run.
        rows: those that are evaluated.
        verdicts: by which they are counted.
    """
    told = manifest.get("imported")
    if not isinstance(told, Mapping):
        return []
    notes = []
    if str(told.get("image_format", "")).endswith(_JPEG):
        notes.append(
            "the images were JPEG files: ℓ1, COUT, S3 and GT IoU see its blocks, and set distances "
            "compare with those of other JPEG files only"
        )
    if verdicts.by is not None:
        who = (
            "the program said that made them" if verdicts.by == FOREIGN else "was stored with them"
        )
        notes.append(
            "there is no classifier here: which images are flipped, and which inputs were "
            f"classified correctly, is what {who}"
        )
    flipped = verdicts.flipped.tolist()
    said = [(row.flipped_foreign, now) for row, now in zip(rows, flipped, strict=True)]
    known = [(theirs, ours) for theirs, ours in said if theirs is not None]
    differ = sum(theirs != ours for theirs, ours in known)
    if differ and verdicts.by != FOREIGN:
        notes.append(
            f"{differ} of {len(known)} verdicts differ from those of the program that made the "
            "images, which judged them in memory; here the stored files are judged"
        )
    left_out = told.get("left_out")
    if isinstance(left_out, int) and left_out:
        notes.append(f"{left_out} images of the imported folder could not be used")
    return notes
