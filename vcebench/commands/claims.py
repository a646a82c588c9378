"""vcebench claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vcebench.commands.options import Form, Format, say

if TYPE_CHECKING:
    from vcebench.results.claims import Verdict


def claims(
    dataset: Annotated[
        str | None,
        typer.Option(help="test on this data set only; embedded ones stand in for the paper's"),
    ] = None,
    runs: Annotated[Path, typer.Option(help="folder of the run folders")] = Path("runs"),
    tested: Annotated[bool, typer.Option(help="leave out what is not measured")] = False,
    published: Annotated[
        bool, typer.Option(help="test on the papers' printed numbers instead")
    ] = False,
    form: Format = Form.github,
) -> None:
    """Test the papers' claims on measured runs: holds, fails, or not measured.

    Without --dataset every claim is tested on its own data set, and on the embedded set that takes
    its place.

    Examples:

      vcebench claims --dataset synthfaces --tested

      vcebench claims --published --format csv
    """
    from vcebench.errors import UserError
    from vcebench.formats import Table
    from vcebench.results.claims import on_measurements, on_print
    from vcebench.results.collection import all_measured
    from vcebench.results.measurements import stored_runs
    from vcebench.results.published import DATASET_NAMES
    from vcebench.results.published import claims as every_claim
    from vcebench.results.tables.layouts import STAND_INS

    lines: list[str] = []
    if published:
        verdicts = [v for v in on_print(every_claim()) if dataset in (None, v.claim.dataset)]
        lines.append("tested on the printed numbers of the papers themselves")
    else:
        known = (*DATASET_NAMES, *STAND_INS)
        if dataset is not None and dataset not in known:
            raise UserError(f"no claim is about {dataset!r}; use {', '.join(known)}")
        names = [dataset] if dataset else ["", *known]
        stored, remarks = stored_runs(runs)
        found = [all_measured(name, stored, remarks) for name in names if name]
        rows = [row for collection in found for row in collection.rows]
        verdicts = on_measurements(every_claim(), rows, names)
        for remark in dict.fromkeys(r for collection in found for r in collection.remarks):
            say(remark)
        if not dataset:
            verdicts = _nearest(verdicts)
        lines += _caveats(verdicts)
    counts = Counter(verdict.state for verdict in verdicts)
    summary = ", ".join(f"{counts[s]} {s}" for s in ("holds", "fails", "not measured"))
    lines.insert(0, f"{len(verdicts)} claims: {summary}")
    shown = [v for v in verdicts if not tested or v.state != "not measured"]
    text = Table([_row(verdict) for verdict in shown], _COLUMNS).render(form.value)
    if form is Form.github:  # sentences do not fit into the cells of a table
        text = "\n".join(line for verdict in shown for line in _lines(verdict))
    typer.echo(text)
    if form is Form.github:
        typer.echo("\n" + "\n".join(fill(f"- {line}", WIDTH, **_HANGING) for line in lines))
    else:
        for line in lines:
            say(line)


WIDTH = 100
_HANGING: dict[str, Any] = {"subsequent_indent": "  "}


def _lines(verdict: Verdict) -> list[str]:
    """A claim and what became of it, in lines of a terminal."""
    row = _row(verdict)
    shown = f"{row['metric']}: {row['method']} {row['figure']} {row['relation']} {row['right']}"
    images = f"{row['images']} images" if row["images"] else ""
    details = "; ".join(part for part in (row["on"], shown, images, row["remark"]) if part)
    head = f"{row['verdict']:12} {row['id']:9} {row['claim']}"
    indent: dict[str, Any] = {"subsequent_indent": " " * 13}
    return [fill(head, WIDTH, **indent), fill(details, WIDTH, initial_indent=" " * 13, **indent)]


_COLUMNS = (
    *("id", "claim", "on", "metric", "method", "figure", "relation", "right", "verdict"),
    *("images", "remark"),
)


def _row(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    right = claim.right_method_or_value
    if verdict.right and verdict.right != right:
        right = f"{right}: {verdict.right}"
    return {
        "id": claim.id,
        "claim": claim.claim,
        "on": " ".join(part for part in (verdict.on.dataset, verdict.on.task) if part),
        "metric": claim.metric,
        "method": claim.left_method,
        "figure": verdict.left,
        "relation": f"{claim.relation} {claim.margin}".rstrip(),
        "right": right,
        "verdict": verdict.state,
        "images": verdict.images or None,
        "remark": verdict.remark,
    }


def _nearest(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Per claim the verdict on its own data set if it was measured there, else the stand-in's."""
    by_claim: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_claim.setdefault(verdict.claim.id, []).append(verdict)
    return [
        next((v for v in group if v.state != "not measured"), group[0])
        for group in by_claim.values()
    ]


def _caveats(verdicts: Sequence[Verdict]) -> list[str]:
    from vcebench.results.tables.layouts import STAND_INS

    names = {v.on.dataset for v in verdicts if v.state != "not measured"} & STAND_INS.keys()
    return [
        f"{name} is not the paper's data: a claim that fails there says nothing against the paper, "
        "one that holds does not reproduce it"
        for name in sorted(names)
    ]
