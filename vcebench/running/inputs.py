"""Whether the images a run is to be continued with are those it was begun with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vcebench.data.base import Example, ImageSet
from vcebench.data.files import BadImageError
from vcebench.data.rendered.dataset import RenderedSet
from vcebench.errors import UserError
from vcebench.folders.digests import input_digest
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import DamagedFileError, RunFolder
from vcebench.folders.store import RunStore
from vcebench.settings.config import RunConfig, differences
from vcebench.settings.custom import CustomTask

_DRAWN = 16
"""Images that are drawn again, of a set that this package draws."""

_KINDS = {
    "pictures": "{n} pictures are others (such as {example})",
    "labels": "{n} labels are others (such as {example})",
    "gone": "{n} images are no longer there or called otherwise (such as {example})",
    "new": "{n} images in their places are new (such as {example})",
    "order": "the images come in another order (from {example} on)",
    "damaged": "{n} images can no longer be read (such as {example})",
}


@dataclass
class _Changes:
    """What is not as it was: kind → an example of each image."""

    found: dict[str, list[str]] = field(default_factory=dict)
    unknown: int = 0

    def add(self, kind: str, example: str) -> None:
        self.found.setdefault(kind, []).append(example)

    def names(self, stored: Sequence[str], now: Sequence[str]) -> None:
        """Ids of rows, and of the images at their positions."""
        for kind, ids, others in (("gone", stored, set(now)), ("new", now, set(stored))):
            for id in ids:
                if id not in others:
                    self.add(kind, id)
        if not self.found and list(stored) != list(now):
            self.add("order", next(a for a, b in zip(stored, now, strict=True) if a != b))

    def text(self) -> str:
        return "; ".join(
            text.format(n=len(examples), example=examples[0])
            for kind, text in _KINDS.items()
            if (examples := self.found.get(kind))
        )


def check_inputs(folder: RunFolder, rows: Iterable[Row], images: ImageSet) -> list[str]:
    """Compare the images of a run with those its rows were made of: ids, pixels and labels.

    Images that this package draws change with its version alone: a few of them are drawn again, of
    the others the ids are compared.

    Args:
        folder: the run's.
        rows: some of its rows.
        images: what it is to be continued, or evaluated, with.

    Returns:
        What could not be compared, as lines for people.

    Raises:
        UserError: something is not as it was; the sentence names what, and what to do.
    """
    changes = _Changes()
    stored, now = [], []
    ordered = sorted(rows, key=lambda row: row.index)
    apart = max(1, len(ordered) // _DRAWN) if isinstance(images, RenderedSet) else 1
    for number, row in enumerate(ordered):
        if row.index >= len(images):
            changes.add("gone", row.id)
            continue
        if number % apart:
            stored.append(row.id)
            now.append(images.id(row.index))
            continue
        try:
            example = images[row.index]
        except BadImageError:
            changes.add("damaged", row.id)
            continue
        stored.append(row.id)
        now.append(example.id)
        if example.id == row.id:
            _compare(changes, folder, row, example)
    changes.names(stored, now)
    if changes.found:
        raise UserError(
            f"{folder.path} was made of other inputs: {changes.text()}; give another --output, or "
            "put the data back as they were"
        )
    if changes.unknown:
        return [
            f"{changes.unknown} images were stored before digests of them were kept; whether their "
            "pixels are the same is not known"
        ]
    return []


def still_left_out(store: RunStore, config: RunConfig, images: ImageSet) -> int:
    """Images that a finished run left out and that still cannot be read."""
    if not config.skip_bad or store.manifest.get("status") != "finished":
        return 0
    known = store.manifest.get("skipped", {})
    done = {row.index for row in store.finished.values()}
    return sum(
        str(index) in known and index not in done and not _readable(images, index)
        for index in config.indices()
    )


def _readable(images: ImageSet, index: int) -> bool:
    try:
        images[index]
    except BadImageError:
        return False
    return True


def check_data(folders: Sequence[RunFolder], stored: CustomTask, now: CustomTask) -> list[str]:
    """Compare the data a task's file describes with those some runs of it were made of.

    Args:
        folders: the runs.
        stored: the task as their configuration has it.
        now: the task as its file says it today.

    Returns:
        What could not be compared, as lines for people.

    Raises:
        UserError: classes, sizes or images are not as they were.
    """
    if not now.data.folder.is_dir():
        return [f"{now.data.folder} is not there: the run's images were not compared with it"]
    images = now.open()
    places = {"folder", "labels"}
    before, after = (
        task.data.model_dump(mode="json", exclude=places) for task in (stored, now.named(images))
    )
    lines = differences({**before, "target": stored.target}, {**after, "target": now.target})
    if lines:
        raise UserError(
            f"{folders[0].path} was made with other data ({'; '.join(lines)}); run again with "
            "another --output, or put the file back as it was"
        )
    return [line for folder in folders for line in check_inputs(folder, folder.rows(), images)]


def _compare(changes: _Changes, folder: RunFolder, row: Row, example: Example) -> None:
    if example.label != row.label:
        changes.add("labels", f"{row.id}: {row.label} is now {example.label}")
    known = row.input_sha256 or _digest_of_file(folder, row)
    if known is None:
        changes.unknown += 1
    elif input_digest(example.image, row.label) != known:
        changes.add("pictures", row.id)


def _digest_of_file(folder: RunFolder, row: Row) -> str | None:
    """Digest of an input as it is stored, if it is stored without loss and can be read."""
    if folder.codec().suffix != ".png":
        return None
    try:
        return input_digest(folder.image("inputs", row), row.label)
    except DamagedFileError:
        return None
