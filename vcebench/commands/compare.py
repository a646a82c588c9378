"""vcebench compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import (
    DataRoot,
    Form,
    Format,
    OwnConfig,
    Threads,
    installed,
    say,
)


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="a run folder")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="another one of the same task")],
    threads: Threads = None,
    config: OwnConfig = None,
    data_root: DataRoot = None,
    form: Format = Form.github,
) -> None:
    """Compare two runs image by image: B minus A per metric, with a 95 % bootstrap interval.

    Examples:

      vcebench compare runs/digits-3-8-fastdime-5b1c runs/digits-3-8-maskdime-1f0e

      vcebench compare RUN_A RUN_B --format csv
    """
    from vcebench.formats import Table, number
    from vcebench.jobs.compare import compare as compare_runs
    from vcebench.metrics.registry import METRICS
    from vcebench.settings.custom import read_custom

    installed()
    custom = None if config is None else read_custom(config)[0]
    found = compare_runs(first, second, threads, custom, data_root)
    people = form in (Form.github, Form.latex)
    rows = []
    for one in found.differences:
        info = METRICS[one.id]
        title = f"{info.title} {info.unit}".rstrip()
        row = {
            "metric": f"{title} {'↑' if info.better == 'higher' else '↓'}" if people else one.id,
            "A": one.first,
            "B": one.second,
            "B - A": one.difference,
        }
        low, high = one.interval or (None, None)
        if people:
            row["95 % interval"] = (
                "" if low is None or high is None else f"{number(low)} … {number(high)}"
            )
        else:
            row |= {"low": low, "high": high}
        rows.append(row | {"n": one.n, "better": one.better})
    say(f"A: {first}")
    say(f"B: {second}")
    for note in found.notes:
        say(note)
    typer.echo(Table(rows).render(form.value))
