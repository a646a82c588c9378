"""The numbers of a run as its metrics.json states them, with everything a number is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vcebench.folders.rows import NOT_KNOWN
from vcebench.folders.runfolder import METRICS as METRICS_FILE
from vcebench.folders.runfolder import RunFolder
from vcebench.formats import number
from vcebench.metrics.info import MetricInfo
from vcebench.metrics.registry import METRICS

NOT_EVALUATED = "not evaluated yet: vcebench evaluate"


@dataclass(frozen=True)
class Number:
    """One metric of one run.

    Attributes:
        info: its definition.
        value: in the metric's unit; None if missing, and then `reason` says why.
        interval: 95 % interval (low, high), None without one.
        n: images counted.
        backbone, sha256: the network behind it and the hash of its checkpoint.
    """

    info: MetricInfo
    value: float | None
    n: int = 0
    interval: tuple[float, float] | None = None
    backbone: str | None = None
    sha256: str | None = None
    reason: str | None = None

    @property
    def text(self) -> str:
        """The value for people; if it is missing a dash, or that it is not known."""
        if self.value is None:
            return NOT_KNOWN if self.reason == NOT_KNOWN else "–"
        return number(self.value)

    @property
    def interval_text(self) -> str:
        """The interval for people, empty without one."""
        if self.interval is None:
            return ""
        low, high = (number(bound) for bound in self.interval)
        return f"{low} – {high}"

    @property
    def score(self) -> float | None:
        """The value turned so that larger is better."""
        if self.value is None:
            return None
        return self.value if self.info.better == "higher" else -self.value


@dataclass(frozen=True)
class Measured:
    """All metrics of a run, and what a reader should know beside them."""

    numbers: Mapping[str, Number]
    notes: tuple[str, ...] = ()
    memory_of: str = ""


def measured_of(folder: RunFolder, images: int, name: str = METRICS_FILE) -> Measured:
    """What is known of a run's metrics; all missing if it was never evaluated.

    Args:
        folder: the run.
        images: number of images the run holds now.
        name: the file of metrics, within the folder.

    Raises:
        UserError: the file cannot be read.
    """
    document = folder.metrics(name)
    if document is None:
        return Measured({id: Number(i, None, reason=NOT_EVALUATED) for id, i in METRICS.items()})
    records = {record["id"]: record for record in document["metrics"]}
    hashes = _hashes(document.get("networks", {}).values())
    found = {
        id: _number(info, records[id], hashes) if id in records else _absent(info)
        for id, info in METRICS.items()
    }
    notes = list(document.get("notes", ()))
    counted = document["images"]
    if counted != images:
        notes.append(f"The metrics count {counted} images, the run holds {images}: evaluate it.")
    return Measured(found, tuple(notes), str(document.get("peak_memory_of", "")))


def _hashes(networks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Readable name of a network → hash of its checkpoint."""
    return {facts.get("name", ""): facts["sha256"] for facts in networks}


def _number(info: MetricInfo, record: Mapping[str, Any], hashes: Mapping[str, str]) -> Number:
    low, high = record.get("low"), record.get("high")
    backbone = record.get("backbone")
    value = record["value"]
    return Number(
        info=info,
        value=None if value is None else float(value),
        n=int(record["n"]),
        interval=None if low is None or high is None else (float(low), float(high)),
        backbone=backbone,
        sha256=hashes.get(backbone or ""),
        reason=record.get("reason") or ("not computed" if value is None else None),
    )


def _absent(info: MetricInfo) -> Number:
    return Number(info, None, reason="unknown to the version that evaluated the run")


def ranks(numbers: Iterable[Number]) -> list[int | None]:
    """1 for the best values, 2 for the second best, None for all others.

    Numbers made with different networks are not comparable, and where all are equal none is best:
    then there are no ranks.
    """
    column = list(numbers)
    scores = [None if n.score is None else float(f"{n.score:.4g}") for n in column]
    distinct = sorted({score for score in scores if score is not None}, reverse=True)
    known = [n for n in column if n.value is not None]
    if len(distinct) < 2 or len({(n.backbone, n.sha256) for n in known}) > 1:
        return [None] * len(column)
    places = dict(zip(distinct[:2], (1, 2), strict=False))
    return [None if score is None else places.get(score) for score in scores]
