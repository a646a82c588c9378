"""Everything that is said of the whole field, from one command.

    python -m benchmarks.field [--runs FOLDER] [--also FOLDER …] [--budget 2h] [--only-stored]

Makes the runs that are missing on the three embedded sets (the most valuable first; interrupted,
the same command continues), writes their figures to results/embedded, draws the picture of
README.md, and writes the tables between the marks of README.md and docs/field.md. The field comes
first, then the papers' tables with their larger numbers of images, σ_L and `vcebench truth`. With
--only-stored nothing is run: what is not measured yet stands there as missing.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from benchmarks.fieldpages import HOME, Ground
from benchmarks.fieldquestions import blocks
from vcebench.cli import main as vcebench
from vcebench.jobs.field import FIELD, TASKS
from vcebench.jobs.fieldrows import waiting
from vcebench.showing.fieldfigure import field_map
from vcebench.showing.figures import encode

ROOT = Path(__file__).resolve().parents[1]
EMBEDDED = ROOT / "results/embedded"
TABLES = {
    "synthfaces": ("diversity", "1", "4", "5", "7"),
    "synthroads": ("2",),
    "digits": ("diversity",),
}
"""What is swept after the field; its rows fill table 3."""
PAGES = ("README.md", "docs/field.md")
PICTURE = "docs/images/field.png"
_BLOCK = re.compile(r"(<!-- field:(\w+) -->\n).*?(<!-- field:end -->)", re.DOTALL)


def filled(page: str, texts: dict[str, str]) -> str:
    """A page with the texts between its marks; raises KeyError for a mark that nobody fills."""

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}{texts[found[2]]}\n{found[3]}"

    return _BLOCK.sub(fill, page)


def _sweep(dataset: str, arguments: argparse.Namespace, *what: str) -> int:
    sweep = ["sweep", *what, "--dataset", dataset, "--export", str(EMBEDDED)]
    for place in arguments.also:
        vcebench([*sweep, "--only-export", "--runs", str(place)])
    words = [*sweep, "--runs", str(arguments.runs)]
    words += ["--only-export"] if arguments.only_stored else []
    words += ["--budget", arguments.budget] if arguments.budget else []
    return vcebench([*words, *_threads(arguments)])


def _truth(arguments: argparse.Namespace) -> int:
    words = ["truth", "--runs", str(arguments.runs), "--export", str(EMBEDDED)]
    words += ["--only-stored"] if arguments.only_stored or arguments.budget else []
    return vcebench([*words, *_threads(arguments)])


def _threads(arguments: argparse.Namespace) -> list[str]:
    return ["--threads", str(arguments.threads)] if arguments.threads else []


def _all(arguments: argparse.Namespace) -> list[str]:
    """Runs everything; returns what did not run wholly."""
    failed = [d for d in TASKS if _sweep(d, arguments, "--all")]
    failed += [
        f"table {table} of {dataset}"
        for dataset, tables in TABLES.items()
        for table in tables
        if _sweep(dataset, arguments, "--table", table)
    ]
    return failed + ["truth"] * (_truth(arguments) != 0)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the run folders")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="other folders with runs")
    parser.add_argument(
        "--budget", help="of every sweep, as 2h or 90m; then nothing is run for truth"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only-stored", action="store_true", help="run nothing")
    parser.add_argument("--pages", action="store_true", help="only write the pages again")
    arguments = parser.parse_args()
    failed = [] if arguments.pages else _all(arguments)
    home = Ground(HOME[0])
    lacking = [w.method for w in waiting(home.dataset, home.rows) if w.task == HOME[1]]
    shown = [row for row in home.rows if row.task == HOME[1] and row.method in FIELD]
    picture = field_map(shown, lacking)
    if picture is not None:
        (ROOT / PICTURE).write_bytes(encode(picture, "png"))
    texts = blocks()
    for name in PAGES:
        path = ROOT / name
        path.write_text(filled(path.read_text(encoding="utf-8"), texts), encoding="utf-8")
    if failed:
        sys.exit(f"not everything ran on {', '.join(failed)}; the messages are above")


if __name__ == "__main__":
    _main()
