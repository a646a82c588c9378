"""What of a data set and its networks is there, told in seconds and without running anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vcebench.data.files import BadImageError, picture_size, read_picture
from vcebench.data.listed import UNLABELLED, ListedSet
from vcebench.data.registry import DATASETS, DatasetEntry, dataset_entry, open_dataset
from vcebench.data.spread import spread
from vcebench.errors import UserError, one_line
from vcebench.weights.cards import CARDS, METHOD_ROLES, ROLES, RUN_ROLES, Card
from vcebench.weights.latents import LATENT_ROLES, LATENTS, latent_advice, latents_there
from vcebench.weights.reading import read_state
from vcebench.weights.shipped import NetworkFileError
from vcebench.weights.store import advice, locate, read_checksums, verify, weights_root

State = Literal["ok", "missing", "wrong", "optional", "note"]

_SAMPLED = 64
_DECODED = 4


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        item: what it is.
        state: "ok"; "missing" or "wrong" (nothing can run); "optional" (a metric, or some methods,
            will be missing); "note" (worth knowing).
        detail: what there is, or what to do.
    """

    item: str
    state: State
    detail: str


def check(
    dataset: str, data_root: Path | None, weights: Path, thorough: bool = False
) -> list[Finding]:
    """Look at the images and networks of a data set.

    Args:
        data_root: folder of the data; $VCEBENCH_DATA without it.
        weights: the weights folder.
        thorough: also compare checksums and read the tensors of every network.

    Raises UnknownNameError for an unknown data set.
    """
    entry = dataset_entry(dataset)
    if entry.embedded:
        return [Finding("images and networks", "ok", "ship with the package")]
    networks = [*_networks(dataset, weights, thorough), *_latents(dataset, weights)]
    return [*_images(entry, data_root), *networks]


def also_lacking(dataset: str | None, data_root: Path | None, error: UserError) -> str:
    """What else has to be fetched, if an error says that a published set's images are not there.

    Returns "; also …" for each of its networks that lacks; "" for any other error.
    """
    if dataset not in DATASETS or DATASETS[dataset].embedded:
        return ""
    images, *others = check(dataset, data_root, weights_root(None))
    if images.state != "missing" or images.detail != one_line(error):
        return ""
    networks = [f for f in others if f.state == "missing" and not f.item.startswith("images")]
    return "".join(f"; also {finding.item}: {finding.detail}" for finding in networks)


def _images(entry: DatasetEntry, root: Path | None) -> Iterator[Finding]:
    total = 0
    for task in entry.tasks:
        try:
            images = open_dataset(entry.name, task.name, None, root)
        except (UserError, OSError) as error:
            yield Finding(f"images ({task.name})", "missing", one_line(error))
            # The tasks of a binary set see the same images.
            if task.kind == "binary":
                return
            continue
        assert isinstance(images, ListedSet)
        total += len(images)
        yield _files(images)
        if task.kind == "binary":
            break
    if total and entry.images is not None and total != entry.images:
        yield Finding(
            "number of images",
            "optional",
            f"{total:,} in {entry.default_split}, the protocol has {entry.images:,}",
        )


def _files(images: ListedSet) -> Finding:
    """Presence of every file, size of a sample, decoding of a few."""
    item = f"images ({images.task.name}, {images.split})"
    folders = {str(Path(file).parent) for file in images.files}
    there = {
        os.path.normpath(f"{folder}/{entry.name}")
        for folder in folders
        if (images.root / folder).is_dir()
        for entry in os.scandir(images.root / folder)
    }
    lacking = [file for file in images.files if os.path.normpath(file) not in there]
    if lacking:
        return Finding(
            item,
            "missing",
            f"{len(lacking):,} of {len(images):,} files, such as {images.root / lacking[0]}",
        )
    try:
        for index in spread(len(images), _SAMPLED):
            path = images.path(index)
            size = picture_size(path)
            if images.native is not None and size != images.native:
                wanted = f"{images.native[0]}x{images.native[1]}"
                return Finding(item, "wrong", f"{path} has {size[0]}x{size[1]}, not {wanted}")
        for index in spread(len(images), _DECODED):
            read_picture(images.path(index), images.geometry, images.native, images.upright)
    except (BadImageError, UserError) as error:
        return Finding(item, "wrong", one_line(error))
    labels = "unlabelled" if images.labels[0] == UNLABELLED else "labelled"
    return Finding(item, "ok", f"{len(images):,} {labels} images in {images.root}")


def _networks(dataset: str, root: Path, thorough: bool) -> Iterator[Finding]:
    for role, ids in ROLES[dataset].items():
        lacking: State = "missing" if role in RUN_ROLES else "optional"
        found = [look(CARDS[id], root, thorough) for id in ids]
        best = next((f for f in found if f.state != "missing"), None)
        if best is None:
            yield Finding(role, lacking, advice(CARDS[ids[0]], root))
        else:
            yield Finding(role, best.state, best.detail)


def _latents(dataset: str, root: Path) -> Iterator[Finding]:
    """Latent diffusion models, which some methods walk on; their parts are read by a run."""
    for role, ids in LATENT_ROLES.get(dataset, {}).items():
        if there := latents_there(dataset, role, root):
            yield Finding(role, "ok", f"{there[0][0].title}: {there[0][1]}")
        else:
            yield Finding(role, "optional", latent_advice(LATENTS[ids[0]], root))


def look(card: Card, root: Path, thorough: bool = False) -> Finding:
    """One checkpoint in the weights folder; see `check`."""
    try:
        found = locate(card, root)
        if found is None:
            return Finding(card.id, "missing", advice(card, root))
        if thorough:
            verify(card, found, root)
            read_state(found.path, card)
            return Finding(card.id, "ok", f"{card.title}, verified: {found.path}")
    except NetworkFileError as error:
        return Finding(card.id, "wrong", one_line(error))
    note = "imported" if found.imported else "as distributed"
    return Finding(card.id, "ok", f"{card.title}, {note}: {found.path}")


def _needed(role: str) -> str:
    """What a role is needed by."""
    if role in RUN_ROLES:
        return "run"
    return "some methods" if role in METHOD_ROLES else "metrics"


def weight_rows(root: Path) -> Iterator[dict[str, object]]:
    """One row per data set and role: file, source, keys, checksum, and whether it is there."""
    checksums = read_checksums(root)
    for dataset, roles in ROLES.items():
        for role, ids in roles.items():
            for id in ids:
                card = CARDS[id]
                recorded = checksums.get(id, {}).get("sha256", "")
                shapes = card.shapes()
                yield {
                    "dataset": dataset,
                    "role": role,
                    "needed": _needed(role),
                    "card": id,
                    "state": look(card, root).state,
                    "title": card.title,
                    "file": card.file,
                    "where": card.where,
                    "tensors": len(shapes),
                    "sha256": recorded or (f"{card.sha256_prefix}…" if card.sha256_prefix else ""),
                }
