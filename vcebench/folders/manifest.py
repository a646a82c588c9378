"""The form of a run's manifest and metrics, and whether they still belong to its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcebench.folders.digests import CONFIG_KEY, MANIFEST_KEY, manifest_digest
from vcebench.settings.config import PROTOCOL, RunConfig

_Figure = Annotated[float, Field(allow_inf_nan=False)]
_Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    # Entries of other versions are left alone.
    model_config = ConfigDict(extra="allow", strict=True)


class _Network(_Part):
    name: str = ""
    sha256: str
    code_sha256: str | None = None


class _Sitting(_Part):
    started: str = ""
    command: str = ""
    versions: dict[str, str] = {}
    git_commit: str | None = None
    device: str = ""
    threads: Annotated[int, Field(ge=0)] | None = None
    seconds: _Number = 0
    images: Annotated[int, Field(ge=0)] = 0
    peak_memory_mib: _Number = 0
    peak_memory_of: str = ""


class _Manifest(_Part):
    """What readers rely on."""

    format: Literal[1]
    protocol: str
    status: str
    config: dict[str, Any]
    config_hash: str
    networks: dict[str, _Network]
    sittings: list[_Sitting]
    data_root: str | None = None
    skipped: dict[str, str] = {}
    data_notes: list[str] = []
    one_ending: bool = False


class _Record(_Part):
    id: str
    value: _Figure | None
    low: _Figure | None
    high: _Figure | None
    n: Annotated[int, Field(ge=0)]
    population: str
    backbone: str | None
    reason: str | None
    protocol: str


class _Metrics(_Part):
    """What readers of metrics rely on."""

    config_hash: str | None = None
    networks: dict[str, _Network] = {}
    judge: str | None = None
    nfe_per_try: _Number | None = None
    backward_per_image: _Number | None = None
    images: Annotated[int, Field(ge=0)]
    metrics: list[_Record]
    notes: list[str] = []
    peak_memory_of: str = ""


def new_manifest(
    config: RunConfig, networks: Mapping[str, Mapping[str, Any]], data_root: Path | None = None
) -> dict[str, Any]:
    """The manifest of a run that begins.

    Args:
        config: its configuration.
        networks: role → "name" and "sha256" of its networks.
        data_root: where its data set lies, for people who read the manifest; nothing opens it.
    """
    return {
        "format": 1,
        "protocol": PROTOCOL,
        "status": "running",
        "config": config.model_dump(mode="json"),
        "config_hash": config.digest(),
        "networks": {role: dict(facts) for role, facts in networks.items()},
        "data_root": None if data_root is None else str(data_root.resolve()),
        "sittings": [],
        # Ids of one's own images end as their files do.
        **({"one_ending": True} if config.custom is not None else {}),
    }


def one_ending(name: str) -> str:
    """A file's name without the ending that stands there twice.

    >>> one_ending("inputs/a.png.png"), one_ending("inputs/a.jpg.png")
    ('inputs/a.png', 'inputs/a.jpg.png')
    """
    for ending in (".png", ".jpg"):
        if name.endswith(2 * ending):
            return name.removesuffix(ending)
    return name


def parse_manifest(content: bytes) -> dict[str, Any]:
    """The entries of a manifest.

    Raises ValueError (or RecursionError) naming the first entry that is missing or of another form.
    """
    return _parse(content, _Manifest)


def parse_metrics(
    content: bytes, manifest: Mapping[str, Any], judge: str | None = None
) -> dict[str, Any]:
    """The entries of a file of metrics.

    Args:
        judge: name of the judge whose file it is; None for the classifier that the run explains.

    Raises as `parse_manifest`, or if it is another run's, or its figures another classifier's.
    """
    found = _parse(content, _Metrics)
    if found.get("config_hash") not in (None, manifest["config_hash"]):
        raise ValueError("it is of a run with another configuration")
    if found.get("judge") != judge:
        said = found.get("judge") or "the classifier that the run explains"
        raise ValueError(f"it says that {said} judged")
    if judge is None:
        explained, used = (_classifier(of.get("networks", {})) for of in (manifest, found))
        if None not in (explained, used) and explained != used:
            raise ValueError("its figures are of another classifier than the run explains")
    return found


def _classifier(networks: Mapping[str, Any]) -> str | None:
    """SHA-256 of the classifier, if it is known."""
    digest: str | None = networks.get("classifier", {}).get("sha256")
    return digest


def _parse(content: bytes, form: type[_Part]) -> dict[str, Any]:
    entries = json.loads(content, parse_constant=_no_number)
    try:
        form.model_validate(entries)
    except ValidationError as error:
        detail = error.errors()[0]
        name = ".".join(str(part) for part in detail["loc"]) or "it"
        raise ValueError(f"{name}: {detail['msg'][0].lower()}{detail['msg'][1:]}") from error
    found: dict[str, Any] = entries
    return found


def _no_number(word: str) -> NoReturn:
    """NaN and infinities are words that JSON lacks and that nothing here writes."""
    raise ValueError(f"{word} is no number of JSON")


def check_belonging(metadata: Mapping[bytes, bytes] | None, manifest: Mapping[str, Any]) -> None:
    """Raise ValueError unless rows with these Parquet metadata belong to a manifest.

    Rows of versions that wrote no such metadata belong to any.
    """
    stored = metadata or {}
    config = stored.get(CONFIG_KEY)
    if config is not None and config != str(manifest["config_hash"]).encode():
        raise ValueError("it belongs to a run with another configuration than the manifest's")
    digest = stored.get(MANIFEST_KEY)
    if digest is not None and digest != manifest_digest(manifest).encode():
        raise ValueError("it belongs to a manifest with another protocol or other networks")
