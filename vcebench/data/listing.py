"""Which images of a folder are used, with which class numbers, and which are not and why."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vcebench.data.files import inside
from vcebench.data.kinds import Found, folders, survey
from vcebench.data.listed import UNLABELLED
from vcebench.data.table import Entry, read_table
from vcebench.errors import UserError

LARGEST_CLASS = 99_999

_KINDS = {
    "unread": "{n} files of a kind that is not read (such as {example}); save them as PNG or JPEG",
    "clutter": "{n} files of an operating system or a tool (such as {example})",
    "unnamable": "{n} files whose names are not UTF-8 (such as {example}); rename them",
}
_DEEPER = "{n} images below the class folders (such as {example}); move them up"
_BELOW = "{n} images in sub-folders (such as {example}); move them up, or make class folders of all"
_BESIDE = "{n} images beside the class folders (such as {example}); move them into one"
_UNNAMED = "{n} images in folders that `classes` does not name (such as {example})"
_UNLISTED = "{n} images that {table} does not name (such as {example})"


@dataclass(frozen=True)
class Listing:
    """The images of a folder.

    Attributes:
        rows: (path within the folder, class number), … in a fixed order.
        names: of the classes; empty if the images are unlabelled and nobody named any.
        left_out: reason → files that are or look like images and are not used.
        notes: what else a person should know.
    """

    rows: list[tuple[str, int]]
    names: list[str]
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def lines(self) -> list[str]:
        """What is left out, one line a reason, and the notes."""
        counted = [
            f"left out: {reason.format(n=len(files), example=files[0])}"
            for reason, files in self.left_out.items()
        ]
        return counted + list(self.notes)


def list_folder(folder: Path, classes: Sequence[str] = ()) -> Listing:
    """Images of a folder with class sub-folders, or of one without: these are unlabelled.

    Args:
        classes: names of the sub-folders to take, in the order of the class numbers. Without them
            folders called by whole numbers are classes of these numbers, others are counted in
            alphabetical order.

    Raises UserError: no folder, no image, a class without a folder, a folder without images that
    would be a class, or a single class whose number nobody says.
    """
    tree = _tree(folder, classes)
    images = [found for found in tree if found.kind == "image"]
    tops = [name for name in folders(folder) if name not in classes]
    tops = sorted({*tops, *(f.top for f in images if f.top), *classes} - {""})
    filled = {found.top for found in images if found.depth == 1}
    if not filled and not any(found.top in classes for found in images):
        return _flat(folder, tree, images, classes)
    names = list(classes) or _class_folders(folder, images, tops, filled)
    _all_there(folder, names, tops if classes else [], filled)
    numbers = {name: number for number, name in enumerate(names)}
    chosen = sorted(
        (found for found in images if found.depth == 1 and found.top in numbers),
        key=lambda found: (numbers[found.top], found.path),
    )
    if not chosen:
        raise UserError(f"the sub-folders of {folder} hold no image; put some in")
    left_out = _gather(
        (_BESIDE, (f for f in images if not f.top)),
        (_UNNAMED, (f for f in images if f.top and f.top not in numbers)),
        (_DEEPER, (f for f in images if f.depth > 1 and f.top in numbers)),
        *_others(tree),
    )
    return Listing(
        [(found.path, numbers[found.top]) for found in chosen],
        names,
        left_out,
        [] if classes or _are_numbers(names) else [_alphabet(names)],
    )


def list_csv(path: Path, folder: Path, classes: Sequence[str] = ()) -> Listing:
    """The same from a CSV with the columns file and label; files are relative to the folder.

    Labels that are whole numbers are class numbers; others need `classes`.

    Raises UserError with the line: unreadable, another form, a label that is no class, a file that
    is listed twice or lies outside of the folder.
    """
    entries = read_table(path)
    names = list(classes) or _numbered(path, entries)
    numbers = {name: number for number, name in enumerate(names)}
    seen: dict[str, int] = {}
    rows = []
    for entry in entries:
        label = entry.label if classes else _whole(entry.label)
        if label not in numbers:
            known = ", ".join(names)
            raise UserError(f"{path}, line {entry.line}: label {label!r} is none of {known}")
        file = _resolved(folder, entry.file)
        if (first := seen.setdefault(file, entry.line)) != entry.line:
            raise UserError(
                f"{path}: lines {first} and {entry.line} are both about {file}; remove one"
            )
        rows.append((file, numbers[label]))
    tree = _tree(folder, ()) if folder.is_dir() else []
    unlisted = (f for f in tree if f.kind == "image" and f.path not in seen)
    text = _UNLISTED.replace("{table}", path.name)
    return Listing(rows, names, _gather((text, unlisted), *_others(tree)))


def list_all(folder: Path) -> Listing:
    """All images of a folder and of its sub-folders, whatever their class, unlabelled."""
    tree = _tree(folder, ())
    images = [(found.path, UNLABELLED) for found in tree if found.kind == "image"]
    if not images:
        raise UserError(f"{folder} holds no image{_looked(tree)}; put some in")
    return Listing(images, [], _gather(*_others(tree)))


def _tree(folder: Path, classes: Sequence[str]) -> list[Found]:
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give the folder of the images")
    return survey(folder, frozenset(classes))


def _flat(folder: Path, tree: list[Found], images: list[Found], classes: Sequence[str]) -> Listing:
    """Images that lie in the folder itself, unlabelled."""
    loose = [found for found in images if not found.top]
    deeper = [found for found in images if found.top]
    if not loose and deeper:
        raise UserError(
            f"{folder} holds images only deeper than class folders, such as {deeper[0].path}; "
            "move them up into FOLDER/CLASS/, or give the folder around the classes"
        )
    if not loose:
        raise UserError(f"{folder} holds no image{_looked(tree)}; put some in")
    return Listing(
        [(found.path, UNLABELLED) for found in loose],
        list(classes),
        _gather((_BELOW, deeper), *_others(tree)),
    )


def _looked(tree: list[Found]) -> str:
    """What there is instead of images."""
    other = next((found for found in tree if found.kind != "image"), None)
    return "" if other is None else f" that can be read, only such as {other.path}"


def _class_folders(
    folder: Path, images: list[Found], tops: list[str], filled: set[str]
) -> list[str]:
    """Names of the classes in the order of their numbers, where nobody says them."""
    for name in tops:
        if name not in filled:
            deeper = next((found.path for found in images if found.top == name), None)
            why = "" if deeper is None else f" itself, only deeper ({deeper})"
            raise UserError(
                f"{folder / name} holds no image{why}: is it a class? Put its images in, remove "
                f"it, or say {line_to_add(sorted(filled))} in [data]"
            )
    if _are_numbers(tops):
        return _by_number(tops, str(folder))
    if len(tops) == 1:
        raise UserError(
            f"{folder} has one class folder only, {tops[0]!r}: say which of the classifier's "
            f"outputs it is, {line_to_add([*tops, '…'])} in [data]"
        )
    if strange := [name for name in tops if _number(name) is not None]:
        raise UserError(
            f"{folder} has folders of numbers ({strange[0]}) and of names beside each other; say "
            f"{line_to_add(tops)} in [data], in the order of the outputs"
        )
    return tops


def _all_there(folder: Path, names: list[str], tops: list[str], filled: set[str]) -> None:
    """Refuse a named class without a folder, as long as a folder is there that no class names."""
    lacking = [name for name in names if not (folder / name).is_dir()]
    others = [name for name in tops if name not in names and name in filled]
    if tops and lacking and others:
        raise UserError(f"{folder} has no sub-folder {lacking[0]!r}; it has {', '.join(others)}")


def _alphabet(names: list[str]) -> str:
    shown = ", ".join(f"{name} {number}" for number, name in enumerate(names[:10]))
    more = ", …" if len(names) > 10 else ""
    return f"classes by alphabet: {shown}{more}; `classes` in [data] says another order"


def line_to_add(names: Sequence[str]) -> str:
    """The TOML line that names classes.

    >>> line_to_add(["bar", "disc"])
    'classes = ["bar", "disc"]'
    """
    quoted = ", ".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names)
    return f"classes = [{quoted}]"


def _numbered(path: Path, entries: list[Entry]) -> list[str]:
    """Names of the classes of a list whose labels are whole numbers."""
    labels = sorted({entry.label for entry in entries})
    if all(_number(label) is not None for label in labels):
        return _by_number(labels, str(path))
    words = [label for label in labels if _number(label) is None]
    entry = next(entry for entry in entries if entry.label == words[0])
    shown = [*labels[:10], *(["…"] if len(labels) > 10 or len(labels) == 1 else [])]
    raise UserError(
        f"{path}, line {entry.line}: label {words[0]!r} is no class number; add to [data], in the "
        f"order of the classifier's outputs: {line_to_add(shown)}"
    )


def _by_number(labels: Iterable[str], where: str) -> list[str]:
    """Names "0", "1", … up to the largest of some labels that are class numbers."""
    largest = max(number for label in labels if (number := _number(label)) is not None)
    if largest > LARGEST_CLASS:
        raise UserError(f"{where}: {largest} is no class number, they end at {LARGEST_CLASS}")
    return [str(number) for number in range(max(2, largest + 1))]


def are_class_numbers(names: Sequence[str]) -> bool:
    """Whether names of classes are just their numbers, so that more of them can follow."""
    return all(name == str(number) for number, name in enumerate(names))


def _are_numbers(names: Iterable[str]) -> bool:
    return all(_number(name) is not None for name in names)


def _number(label: str) -> int | None:
    """The whole number that a label is; 3.0, as tables with gaps write it, is 3."""
    match = re.fullmatch(r"(\d{1,18})(?:\.0+)?", label, re.ASCII)
    return None if match is None else int(match[1])


def _whole(label: str) -> str:
    number = _number(label)
    return label if number is None else str(number)


def _resolved(folder: Path, written: str) -> str:
    """The path of a listed file within the folder, with slashes."""
    candidates = [written, written.strip(), written.strip().replace("\\", "/")]
    chosen = next((c for c in candidates if os.path.exists(folder / c)), candidates[-1])
    real = inside(folder, chosen)
    plain = posixpath.normpath(chosen)
    return real.relative_to(folder.resolve()).as_posix() if plain[0] in "/." else plain


def _others(tree: list[Found]) -> list[tuple[str, Iterable[Found]]]:
    return [(text, [f for f in tree if f.kind == kind]) for kind, text in _KINDS.items()]


def _gather(*groups: tuple[str, Iterable[Found]]) -> dict[str, list[str]]:
    found = {reason: [one.path for one in files] for reason, files in groups}
    return {reason: files for reason, files in found.items() if files}
