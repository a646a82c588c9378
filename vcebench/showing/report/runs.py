"""Runs side by side: which belong into one table, what to call them, which images they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vcebench.data.registry import UnknownNameError, dataset_entry
from vcebench.errors import UserError
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import JUDGED, METRICS, RunFolder
from vcebench.settings.config import RunConfig
from vcebench.settings.custom import stored_custom
from vcebench.settings.request import told_region
from vcebench.showing.report.numbers import Measured, measured_of


@dataclass(frozen=True)
class Subject:
    """What a run is about; only runs with the same subject stand in one table.

    classes: their names in a task of one's own, by number.
    """

    dataset: str
    task: str
    split: str
    protocol: str
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """For headings."""
        return f"{self.dataset} · {self.task}"


@dataclass(frozen=True, eq=False)
class RunView:
    """One run as the report shows it.

    Attributes:
        number: 1, 2, … in the order given; names files and pages.
        label: the method, with what sets it apart from other runs of the same method.
        folder, manifest, config: see `RunFolder`.
        rows: image id → row.
        measured: its metrics.
        values: image id → metric id → value; empty if it was never evaluated.
        judged: name of another judge → metrics with it in the place of the explained classifier.
    """

    number: int
    label: str
    folder: RunFolder
    manifest: Mapping[str, Any]
    config: RunConfig
    subject: Subject
    rows: Mapping[str, Row]
    measured: Measured
    values: Mapping[str, Mapping[str, float]]
    judged: Mapping[str, Measured] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number of finished images."""
        return len(self.rows)

    @property
    def non_finite(self) -> int:
        """Images without a counterfactual."""
        return sum(not row.finite for row in self.rows.values()) - self.already_target

    @property
    def already_target(self) -> int:
        """Images that were of the class asked for before any edit."""
        return sum(row.already_target for row in self.rows.values())

    @property
    def made_with(self) -> dict[str, str]:
        """Versions, commit, device and date as the sittings in the manifest state them."""
        sittings: list[dict[str, Any]] = list(self.manifest.get("sittings", ()))
        facts = {
            "code version": [s.get("versions", {}).get("vcebench") for s in sittings],
            "commit": [s.get("git_commit") for s in sittings],
            "torch": [s.get("versions", {}).get("torch") for s in sittings],
            "device used": [s.get("device") for s in sittings],
            "started": [s.get("started") for s in sittings[:1]],
        }
        found = {name: list(dict.fromkeys(str(v) for v in vs if v)) for name, vs in facts.items()}
        return {name: ", ".join(values) for name, values in found.items() if values}


@dataclass(frozen=True, eq=False)
class Item:
    """One image of a subject with what every run made of it.

    Attributes:
        number: 1, 2, … in the whole report; names files and pages.
        results: the runs that explained it, with their rows; never empty.
    """

    number: int
    subject: Subject
    id: str
    results: tuple[tuple[RunView, Row], ...]

    @property
    def row(self) -> Row:
        """The first row, for what does not depend on the method."""
        return self.results[0][1]

    @property
    def name(self) -> str:
        """Name of its page and its folder of pictures; nothing a data set chose."""
        return f"{self.number:05d}"


def read_runs(paths: Sequence[Path]) -> list[RunView]:
    """The runs in the order given.

    Raises:
        UserError: none is given, one is given twice, is no run folder, or holds nothing yet.
    """
    if not paths:
        raise UserError("give at least one run folder")
    seen = Counter(path.resolve() for path in paths)
    for path in paths:
        if seen[path.resolve()] > 1:
            raise UserError(f"{path} is given twice; give every run once")
    return _labelled([_read(number, path) for number, path in enumerate(paths, 1)])


def _read(number: int, path: Path) -> RunView:
    folder = RunFolder.existing(path)
    manifest, config = folder.manifest(), folder.config()
    rows = {row.id: row for row in folder.rows()}
    if not rows:
        raise UserError(f"{path} holds no finished image; run it first")
    return RunView(
        number=number,
        label=_name(config),
        folder=folder,
        manifest=manifest,
        config=config,
        subject=_subject(config, manifest["protocol"]),
        rows=rows,
        measured=measured_of(folder, len(rows)),
        values=folder.per_image(),
        judged={
            name: measured_of(folder, len(rows), f"{JUDGED}/{name}/{METRICS}")
            for name in folder.judges()
        },
    )


_UNNAMED = ("trace", "region", "masks")
"""What does not set runs apart, or is in their names already."""


def _name(config: RunConfig) -> str:
    """The method, and the region it was told; a method inside a region is another one."""
    region = told_region(config)
    return config.method if region is None else f"{config.method} · region {region}"


def _labelled(runs: list[RunView]) -> list[RunView]:
    """Labels that are unique within a subject, by what the runs of a method differ in."""
    labelled = []
    for run in runs:
        alike = [r for r in runs if (r.subject, r.label) == (run.subject, run.label)]
        settings = [_flat(r.config.model_dump(mode="json")) for r in alike]
        own = _flat(run.config.model_dump(mode="json"))
        apart = [key for key in own if len({str(s.get(key)) for s in settings}) > 1]
        parts = [f"{key} {own[key]}" for key in apart if key not in _UNNAMED]
        labelled.append(replace(run, label=" · ".join([run.label, *parts])))
    count = Counter((run.subject, run.label) for run in labelled)
    return [
        run
        if count[run.subject, run.label] == 1
        else replace(run, label=f"{run.label} · run {run.number}")
        for run in labelled
    ]


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings by their last name."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {key: value}
    return flat


def _subject(config: RunConfig, protocol: str) -> Subject:
    own = () if config.custom is None else stored_custom(config.custom).data.classes
    return Subject(config.dataset, config.task, config.split, protocol, own)


def subjects(runs: Sequence[RunView]) -> dict[Subject, list[RunView]]:
    """The runs by what they are about, in order of appearance."""
    found: dict[Subject, list[RunView]] = {}
    for run in runs:
        found.setdefault(run.subject, []).append(run)
    return found


def items_of(runs: Sequence[RunView], limit: int | None = None) -> list[Item]:
    """Every image of every subject, in the order of the data set; at most `limit` a subject."""
    items: list[Item] = []
    for subject, members in subjects(runs).items():
        positions = {row.id: row.index for run in members for row in run.rows.values()}
        ids = sorted(positions, key=lambda id: (positions[id], id))[:limit]
        for id in ids:
            results = tuple((run, run.rows[id]) for run in members if id in run.rows)
            items.append(Item(len(items) + 1, subject, id, results))
    return items


def class_names(subject: Subject) -> dict[int, str]:
    """How people call the classes of a task; empty where nobody says it."""
    if subject.classes:
        return dict(enumerate(subject.classes))
    try:
        task = dataset_entry(subject.dataset).task(subject.task)
    except UnknownNameError:
        return {}
    return dict(zip(task.classes, task.labels, strict=True))


def class_name(names: Mapping[int, str], number: int) -> str:
    """The class in words."""
    return names.get(number, f"class {number}")
