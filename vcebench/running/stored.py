"""The networks to look at a stored run with, for every command that reads run folders.

A run folder may come from anybody. What its manifest names is never imported, built, read or
downloaded: networks are this package's for a registered task, or those of a file that the person
at the keyboard names. The manifest only says which ones, by digest, and is compared with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vcebench.data.ids import safe_name
from vcebench.data.registry import DATASETS
from vcebench.errors import UserError, user_errors
from vcebench.folders.runfolder import RunFolder
from vcebench.methods.core.method import Method
from vcebench.models.bundle import Bundle
from vcebench.models.loading import load_bundle
from vcebench.models.own import load_own_bundle
from vcebench.settings.config import RunConfig
from vcebench.settings.custom import CustomTask, read_custom
from vcebench.settings.origin import Imported


def networks_of_run(
    folder: RunFolder, own: CustomTask | None = None, device: str | None = None
) -> Bundle:
    """The networks of a stored run's task, the classifier being the one that the run explained.

    Args:
        folder: the run.
        own: the task, from the caller's own file, if the run is of somebody's own task.
        device: where the networks shall live (default: where the run was made, if that is here).

    Raises:
        UserError: the run is of somebody's own task and its file is not given or describes
            another one; a network is not there, or is another one than the run's.
    """
    bundle = _load(folder, own, device or _device(folder.config()))
    check_classifier(folder, bundle)
    return bundle


@dataclass(frozen=True)
class Judged:
    """The networks of a stored run with another classifier in the place of its own.

    name: what the judge is called in tables and files: the caller's word for it and the beginning
        of its digest, so that two networks never stand under one name.
    """

    bundle: Bundle
    name: str


def judged_by(
    folder: RunFolder, judge: str, own: CustomTask | None = None, device: str | None = None
) -> Judged:
    """The networks to have a stored run judged by a classifier that it does not explain.

    Args:
        folder, own, device: see `networks_of_run`.
        judge: a task of the run's data set, whose classifier judges; or a file FILE.toml with the
            judge as its classifier.

    Raises:
        UserError: see `networks_of_run`; or there is no such task or file.
    """
    config = folder.config()
    where = device or _device(config)
    if judge.endswith(".toml"):
        other, word = load_own_bundle(read_custom(Path(judge))[0], where), Path(judge).stem
    else:
        _check_registered(folder, config)
        with user_errors():
            other, word = load_bundle(config.dataset, judge, where), judge
    measuring = other if config.custom is not None and own is None else _load(folder, own, where)
    digest = other.hashes["classifier"]
    name = f"{safe_name(word)}-{digest[:8]}"
    bundle = replace(
        measuring,
        classifier=other.explained,
        hashes={**measuring.hashes, "classifier": digest},
        backbones={**measuring.backbones, "classifier": f"{name} (judge)"},
        codes={**measuring.codes, **other.codes} if other.codes else {},
    )
    return Judged(bundle, name)


def _load(folder: RunFolder, own: CustomTask | None, device: str) -> Bundle:
    """The networks here of a run's task, whatever the run had."""
    config = folder.config()
    imported = isinstance(config.origin, Imported)
    entry = DATASETS.get(config.dataset)
    outside = entry is not None and entry.networks is not None
    # Nothing is walked on here, and those may have no prior.
    needs = frozenset[str]() if imported or outside or own is not None else Method.needs
    if config.custom is None:
        _check_registered(folder, config)
        with user_errors():
            return load_bundle(
                config.dataset,
                config.task,
                device,
                classifier=config.classifier,
                needs=needs,
                required=not imported,
            )
    if own is None:
        raise UserError(
            f"{folder.path} is of a task of one's own: name its file too, --config FILE.toml"
        )
    _check_question(folder, config.custom, own)
    return load_own_bundle(own, device, needs=needs, required=not imported)


def check_classifier(folder: RunFolder, bundle: Bundle) -> None:
    """Refuse a classifier that is not the one the run explained, by digest.

    An imported run may be looked at without any.
    """
    if bundle.classifier is None and isinstance(folder.config().origin, Imported):
        return
    _ = bundle.explained  # a run of ours says what is missing
    stored = folder.network_digest("classifier")
    found = bundle.hashes.get("classifier")
    if stored is not None and found != stored:
        raise UserError(
            f"{folder.path} explains another classifier (SHA-256 {stored[:12]}…) than the one "
            f"here ({(found or 'unknown')[:12]}…); use the files it was made with, or have it "
            "judged by another one: vcebench evaluate --judge"
        )
    code = folder.manifest()["networks"].get("classifier", {}).get("code_sha256")
    if code is not None and bundle.codes.get("classifier") != code:
        raise UserError(
            f"{folder.path} explains a classifier of other code (the file it comes from changed); "
            "use the file it was made with"
        )


def _device(config: RunConfig) -> str:
    """Where a run was made, or the CPU if there is no such device here."""
    return config.device if torch.cuda.is_available() else "cpu"


def _check_registered(folder: RunFolder, config: RunConfig) -> None:
    if config.dataset not in DATASETS:
        raise UserError(
            f"{folder.path} is about {config.dataset!r}, which is no data set of this package"
        )


def _check_question(folder: RunFolder, stored: Mapping[str, Any], own: CustomTask) -> None:
    """Refuse a file that asks something else than the run did; weights are compared by digest."""
    part = _mapping(stored.get("classifier"))
    pairs: dict[str, tuple[Any, Any]] = {
        "name": (stored.get("name"), own.name),
        "target": (stored.get("target"), own.target),
    }
    if part or own.classifier is not None:
        pairs |= {
            f"classifier.{name}": (part.get(name), getattr(own.classifier, name, None))
            for name in ("index", "mean", "std")
        }
    classes = _mapping(stored.get("data")).get("classes")
    if own.data.classes:
        pairs["data.classes"] = (classes, own.data.classes)
    for name, (before, now) in pairs.items():
        if _plain(before) != _plain(now):
            raise UserError(
                f"{folder.path} was made with {name} = {before!r}, --config says {now!r}; "
                "name the file it was made with"
            )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
