"""From run folders to a folder that a browser opens: pages, pictures, nothing from elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment

from vcebench.errors import UserError
from vcebench.folders.store import writing
from vcebench.formats import dump
from vcebench.metrics.info import MetricInfo
from vcebench.metrics.registry import METRICS
from vcebench.showing.report.gallery import ORDERS, Shown, shown
from vcebench.showing.report.html import environment
from vcebench.showing.report.numbers import Number, ranks
from vcebench.showing.report.pieces import Pieces
from vcebench.showing.report.runs import Item, RunView, Subject, items_of, read_runs, subjects
from vcebench.showing.report.sharing import without_paths
from vcebench.version import __version__

_MARK = ".vcebench-report"


@dataclass(frozen=True)
class Column:
    """One metric of a summary table: the numbers of all runs, and their ranks."""

    info: MetricInfo
    numbers: Sequence[Number]
    ranks: Sequence[int | None]

    @property
    def mixed(self) -> bool:
        """Whether the numbers come from different networks and so cannot be compared."""
        return len({(n.backbone, n.sha256) for n in self.numbers if n.value is not None}) > 1


@dataclass(frozen=True)
class Summary:
    """The table of one subject.

    Attributes:
        columns: the metrics that at least one run has.
        missing: reason → titles of the metrics that no run has.
        notes: remark → labels of the runs it is about.
        uneven: the runs have different numbers of images, so nothing is ranked.
    """

    subject: Subject
    runs: Sequence[RunView]
    columns: Sequence[Column]
    missing: Mapping[str, Sequence[str]]
    notes: Mapping[str, Sequence[str]]
    uneven: bool


def build_report(
    paths: Sequence[Path],
    output: Path,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the report of some runs; returns its first page.

    Args:
        paths: the run folders, in the order in which they are shown.
        output: the report's folder; an earlier report in it is replaced when the new one is ready.
        limit: show at most so many images of a task; the numbers always count all.
        progress: called with the images done and all images.

    Raises:
        UserError: a run cannot be read, or the folder cannot be written or holds something else.
    """
    runs = read_runs(paths)
    _check_output(output)
    draft = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    with writing(output):
        try:
            draft.mkdir(parents=True)
            _write(draft, runs, items_of(runs, limit), progress)
            if output.exists():
                shutil.rmtree(output)
            draft.rename(output)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return output / "index.html"


def _check_output(output: Path) -> None:
    """Never replace a folder that is not a report."""
    if not output.exists() or (output / _MARK).is_file():
        return
    if not output.is_dir() or any(output.iterdir()):
        raise UserError(f"{output} exists and is not a report; give another --output")


def _write(
    folder: Path,
    runs: Sequence[RunView],
    items: Sequence[Item],
    progress: Callable[[int, int], None],
) -> None:
    pages = environment()
    pages.globals |= {"version": __version__, "orders": ORDERS}
    (folder / _MARK).write_text(f"{__version__}\n")
    _copy_assets(folder / "assets")
    pieces = Pieces(folder / "data", runs, items)
    (folder / "images").mkdir()
    for done, item in enumerate(items, 1):
        image = shown(item)
        _write_image(folder, pages, image, len(items))
        pieces.add(image)
        progress(done, len(items))
    _write_runs(folder / "runs", pages, runs)
    page = pages.get_template("index.html.j2").render(
        root=".",
        runs=runs,
        summaries=[summary(subject, members) for subject, members in subjects(runs).items()],
        data=pieces.close(),
        images=len(items),
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def _copy_assets(folder: Path) -> None:
    folder.mkdir()
    for asset in (resources.files("vcebench.showing.report") / "static").iterdir():
        (folder / asset.name).write_bytes(asset.read_bytes())


def _write_image(folder: Path, pages: Environment, image: Shown, total: int) -> None:
    """The pictures and the page of one image."""
    pictures = folder / "pictures" / image.item.name
    pictures.mkdir(parents=True)
    for name, content in image.files.items():
        (pictures / name).write_bytes(content)
    number = image.item.number
    page = pages.get_template("image.html.j2").render(
        root="..",
        image=image,
        pictures=f"../pictures/{image.item.name}",
        before=f"{number - 1:05d}.html" if number > 1 else None,
        after=f"{number + 1:05d}.html" if number < total else None,
        total=total,
        steps=max((len(r.film.indices) for r in image.results if r.film), default=0),
    )
    (folder / "images" / f"{image.item.name}.html").write_text(page, encoding="utf-8")


def _write_runs(folder: Path, pages: Environment, runs: Sequence[RunView]) -> None:
    """A page with protocol, metrics and manifest of every run."""
    folder.mkdir()
    template = pages.get_template("run.html.j2")
    for run in runs:
        page = template.render(root="..", run=run, manifest=dump(without_paths(dict(run.manifest))))
        (folder / f"{run.number}.html").write_text(page, encoding="utf-8")


def summary(subject: Subject, runs: Sequence[RunView]) -> Summary:
    """The table of the runs about one subject."""
    uneven = len({(run.images, frozenset(run.rows)) for run in runs}) > 1
    columns, missing = [], dict[str, list[str]]()
    for id, info in METRICS.items():
        numbers = [run.measured.numbers[id] for run in runs]
        if all(number.value is None for number in numbers):
            for reason in dict.fromkeys(number.reason or "" for number in numbers):
                missing.setdefault(reason, []).append(info.title)
            continue
        columns.append(Column(info, numbers, [None] * len(runs) if uneven else ranks(numbers)))
    notes = dict[str, list[str]]()
    for run in runs:
        for note in run.measured.notes:
            notes.setdefault(note, []).append(run.label)
    return Summary(subject, runs, columns, missing, notes, uneven)
