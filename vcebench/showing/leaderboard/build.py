"""From runs and packs to a folder of pages: one a task, and a gallery for every run."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import ChoiceLoader, PackageLoader

from vcebench.errors import UserError
from vcebench.folders.packs import PICTURES, unpacked
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import drafted
from vcebench.metrics.info import MetricInfo
from vcebench.metrics.registry import METRICS
from vcebench.showing.leaderboard.entries import Entry, check_figures, entry_of, printed
from vcebench.showing.report.build import build_report
from vcebench.showing.report.html import environment
from vcebench.showing.report.numbers import Number
from vcebench.showing.report.runs import RunView, Subject, read_runs, subjects
from vcebench.version import __version__

_LEFT_OUT = ("time", "peak_memory")
_MAIN = (
    *("fr", "oracle_fr", "gt_iou", "gt_precision", "cout", "s3", "l1", "nfe"),
    *("fid", "fva", "mnac", "cd", "kid", "fs", "sfid"),
)
"""The metrics to look at first, and `_SHOWN`, how many of them fit beside each other."""
_SHOWN = 8


@dataclass(frozen=True)
class Board:
    """The page of one task.

    Attributes:
        title, split, page: what it is about, and its file name.
        columns: metrics that at least one row has.
        main: ids of those that a window shows; the others are asked for.
        entries: rows, the best by the first column first.
        ranks: metric id → for every row 1, 2 or None, among equal images, network and protocol.
    """

    title: str
    split: str
    page: str
    columns: Sequence[MetricInfo]
    main: frozenset[str]
    entries: Sequence[Entry]
    ranks: Mapping[str, Sequence[int | None]]


def build_leaderboard(
    paths: Sequence[Path],
    output: Path,
    verdict: Callable[[RunFolder], str | None],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the pages; returns the first one.

    Args:
        paths: run folders and packs.
        output: a folder that does not exist yet.
        verdict: what a second run of a folder showed; not asked about packs, whose sender could
            have written it.
        progress: called with the runs done and all runs.

    Raises:
        UserError: a run cannot be read, or its figures contradict its rows.
    """
    if not paths:
        raise UserError("give at least one run folder or pack")
    with ExitStack() as stack, drafted(output) as folder:
        places = [
            stack.enter_context(unpacked(path)).path if path.is_file() else path for path in paths
        ]
        runs = read_runs(places)
        entries: dict[Subject, list[Entry]] = {}
        for number, (run, given) in enumerate(zip(runs, paths, strict=True), 1):
            check_figures(run.folder, run.measured.numbers)
            gallery = f"galleries/{number:03d}"
            (folder / "galleries").mkdir(exist_ok=True)
            build_report([run.folder.path], folder / gallery, PICTURES)
            remade = None if given.is_file() else verdict(run.folder)
            page = f"{gallery}/index.html"
            entries.setdefault(run.subject, []).append(entry_of(run, page, remade))
            progress(number, len(runs))
        boards = [board(subject, entries[subject]) for subject in subjects(runs)]
        _write(folder, boards, runs)
    return output / "index.html"


def board(subject: Subject, entries: Sequence[Entry]) -> Board:
    """The page of a task: its runs and, of a published set, the printed rows."""
    everyone = [*entries, *printed(subject.dataset, subject.task)]
    columns = [
        info
        for id, info in METRICS.items()
        if id not in _LEFT_OUT and any(_value(entry, id) is not None for entry in everyone)
    ]
    if columns:
        everyone.sort(key=lambda entry: _order(entry, columns[0]))
    return Board(
        title=subject.title,
        split=subject.split,
        page=re.sub(r"[^\w-]+", "-", f"{subject.dataset}-{subject.task}-{subject.split}") + ".html",
        columns=columns,
        main=frozenset([id for id in _MAIN if id in {info.id for info in columns}][:_SHOWN]),
        entries=everyone,
        ranks={info.id: _ranks(everyone, info) for info in columns},
    )


def _value(entry: Entry, id: str) -> float | None:
    number = entry.numbers.get(id)
    return None if number is None else number.value


def _order(entry: Entry, info: MetricInfo) -> tuple[bool, float]:
    """Best first, missing ones last."""
    value = _value(entry, info.id)
    worse = 0.0 if value is None else -value if info.better == "higher" else value
    return value is None, worse


def _peers(entry: Entry, number: Number) -> Hashable:
    """What has to be equal for two figures to be compared."""
    if entry.how == "printed":
        return "printed"
    return entry.images, entry.protocol, number.backbone, number.sha256


def _ranks(entries: Sequence[Entry], info: MetricInfo) -> list[int | None]:
    groups: dict[Hashable, list[float]] = {}
    scores: list[tuple[Hashable, float] | None] = []
    for entry in entries:
        number = entry.numbers.get(info.id)
        if number is None or number.score is None:
            scores.append(None)
            continue
        peers, score = _peers(entry, number), float(f"{number.score:.4g}")
        groups.setdefault(peers, []).append(score)
        scores.append((peers, score))
    found: list[int | None] = []
    for one in scores:
        place = None if one is None else 1 + sum(s > one[1] for s in set(groups[one[0]]))
        alone = one is None or len(set(groups[one[0]])) < 2
        found.append(None if alone or place is None or place > 2 else place)
    return found


def _write(folder: Path, boards: Sequence[Board], runs: Sequence[RunView]) -> None:
    pages = environment()
    assert pages.loader is not None
    pages.loader = ChoiceLoader([PackageLoader("vcebench.showing.leaderboard"), pages.loader])
    pages.globals |= {"version": __version__}
    (folder / "assets").mkdir()
    for asset in (resources.files("vcebench.showing.report") / "static").iterdir():
        (folder / "assets" / asset.name).write_bytes(asset.read_bytes())
    shown = {"root": ".", "boards": boards, "runs": len(runs)}
    index = pages.get_template("leaderboard.html.j2").render(**shown)
    (folder / "index.html").write_text(index, encoding="utf-8")
    for one in boards:
        page = pages.get_template("board.html.j2").render(board=one, **shown)
        (folder / one.page).write_text(page, encoding="utf-8")
