"""Pictures of a task with known truth: what each method edits, beside what it should edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from vcebench.folders.images import write_atomic
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import writing
from vcebench.jobs.plan import existing
from vcebench.jobs.truth import GROUND_TRUTH, PUBLISHED, tasks_of, truth_plan
from vcebench.jobs.truthtable import SCOPES, agreements
from vcebench.metrics.registry import METRICS
from vcebench.results.measurements import Measurement, StoredRun
from vcebench.showing.figures import Panel, agreement_maps, encode
from vcebench.showing.pictures import difference, enlarge, font, png_bytes

COUNT = 4
_GAP, _HEAD = 6, 24
_INK, _PAPER = (25, 25, 25), (255, 255, 255)


def task_sheet(folders: Sequence[RunFolder], count: int = COUNT) -> Image.Image | None:
    """Images of one task: input, true counterfactual, and every method's; edits in the line below.

    A red frame marks a counterfactual that has not flipped. Shown are the first images of which
    half lead to either class, as far as there are such.

    Args:
        folders: finished runs of one task, one a method.
        count: images.

    Returns:
        The picture; None if the runs share no image.
    """
    tables = [{row.id: row for row in folder.rows() if row.finite} for folder in folders]
    shared = [row for row in tables[0].values() if all(row.id in other for other in tables)]
    rows = [row for target in (0, 1) for row in _towards(shared, target)[: count // 2]]
    if not rows:
        return None
    heads = ["input", "true counterfactual", *(folder.config().method for folder in folders)]
    lines: list[list[Tensor | None]] = []
    for row in rows:
        before = folders[0].image("inputs", row)
        pictures = [folders[0].image("truths", row)]
        pictures += [
            folder.image("counterfactuals", table[row.id])
            for folder, table in zip(folders, tables, strict=True)
        ]
        lines.append([before, *pictures])
        lines.append([None, *(difference(before, after) for after in pictures)])
    width, height = enlarge(before).size
    size = (len(heads) * (width + _GAP) + _GAP, _HEAD + len(lines) * (height + _GAP))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        draw.text((_GAP + column * (width + _GAP), 5), head, fill=_INK, font=font(12))
    for number, line in enumerate(lines):
        for column, tensor in enumerate(line):
            at = (_GAP + column * (width + _GAP), _HEAD + number * (height + _GAP))
            if tensor is not None:
                sheet.paste(enlarge(tensor), at)
            row = rows[number // 2]
            if number % 2 == 0 and column > 1 and not tables[column - 2][row.id].flipped:
                box = (at[0] - 2, at[1] - 2, at[0] + width + 1, at[1] + height + 1)
                draw.rectangle(box, outline=(214, 39, 40), width=3)
    return sheet


def _towards(rows: Sequence[Row], target: int) -> list[Row]:
    return [row for row in rows if row.target == target]


def write_pictures(
    dataset: str,
    stored: Sequence[StoredRun],
    rows: Sequence[Measurement],
    folder: Path,
    limit: int | None = None,
) -> list[Path]:
    """A picture truth-TASK.png of every task that has runs, and the rank correlations.

    Args:
        dataset: one whose causes are known.
        stored: runs with metrics, from `measurements.stored_runs`.
        rows: all figures, from `truth.gather`.
        folder: where to; made if it is not there.
        limit: images of every run, as in `truth_plan`.

    Returns:
        The files written.
    """
    pictures = {}
    for task in tasks_of(dataset):
        planned = [w for w in truth_plan(dataset, limit) if w.task == task and w.rungs is None]
        runs = [run for run in (existing(wanted, stored) for wanted in planned) if run is not None]
        sheet = task_sheet([RunFolder(run.path) for run in runs]) if runs else None
        if sheet is not None:
            pictures[f"truth-{task}.png"] = png_bytes(sheet)
    maps = correlation_maps(rows)
    if maps is not None:
        pictures["truth-correlations.png"] = encode(maps, "png")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in pictures.items():
            write_atomic(folder / name, content)
    return [folder / name for name in pictures]


def correlation_maps(rows: Sequence[Measurement]) -> Figure | None:
    """Rank correlation of every published metric with every ground-truth one, a panel a scope.

    None if nothing can be correlated.
    """
    panels = []
    for scope in SCOPES:
        found = {(one.published, one.truth): one for one in agreements(rows, scope)}
        panels.append(
            Panel(
                scope,
                [[found[p, t].rho for t in GROUND_TRUTH] for p in PUBLISHED],
                [[found[p, t].interval for t in GROUND_TRUTH] for p in PUBLISHED],
            )
        )
    if all(value is None for panel in panels for line in panel.values for value in line):
        return None
    titles = [[METRICS[id].title for id in ids] for ids in (PUBLISHED, GROUND_TRUTH)]
    return agreement_maps(panels, *titles)
