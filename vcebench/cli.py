"""The command line. stdout is for results, stderr for people; errors are one line and exit code 2.

Nothing heavy is imported here: commands import the harness when they run.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer

from vcebench.commands import (
    baseline,
    calibrate,
    check,
    claims,
    compare,
    evaluate,
    figures,
    leaderboard,
    listing,
    outside,
    prepare,
    profile,
    region,
    report,
    run,
    scale,
    show,
    sweep,
    table,
    train,
    truth,
    weights,
)
from vcebench.errors import StoppedError, UserError, one_line
from vcebench.models.memory import keep_freed_memory
from vcebench.version import __version__

USAGE = 2
INTERRUPTED = 130

app = typer.Typer(
    name="vcebench",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"vcebench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Benchmark visual counterfactual explanations.

    The main job: `vcebench run --method maskdime --dataset digits`
    """


app.command()(run.run)
app.command()(evaluate.evaluate)
app.command()(scale.merge)
app.command(context_settings={"ignore_unknown_options": True})(scale.submit)
app.command("list")(listing.list_)
app.command("import")(outside.import_)
app.command("export")(outside.export)
app.command()(leaderboard.leaderboard)
app.command()(leaderboard.remake)
app.command()(leaderboard.pack)
app.command()(train.train)
app.command()(show.show)
app.command()(prepare.prepare)
app.command()(check.check)
app.command()(calibrate.calibrate)
app.add_typer(weights.app, name="weights")
app.command()(table.table)
app.command()(sweep.sweep)
app.command()(truth.truth)
app.command()(truth.sanity)
app.command()(profile.profile)
app.command()(report.report)
app.command()(region.region)
app.add_typer(baseline.app, name="baseline")
app.command()(claims.claims)
app.command()(compare.compare)
app.command()(figures.figures)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 0, 2 for a bad request, 130 when interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    keep_freed_memory()
    try:
        code = app(args=arguments, prog_name="vcebench", standalone_mode=False, obj=main)
    except UserError as error:
        return _fail(one_line(error), USAGE)
    except StoppedError as error:
        return _fail(one_line(error), INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", INTERRUPTED)
    except Exception as error:
        # Usage errors are click's, which typer carries inside itself from some version on.
        say = getattr(error, "format_message", None)
        if say is None:
            raise
        return _fail(f"{say().rstrip('.')}; see vcebench {_command(arguments)}--help", USAGE)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    typer.echo(f"vcebench: {message}", err=True)
    return code


def _command(arguments: Sequence[str] | None) -> str:
    """The command among the arguments, with a blank after it; empty if there is none."""
    given = sys.argv[1:] if arguments is None else arguments
    first = next(iter(given), "")
    return f"{first} " if first.isalpha() and first in _names() else ""


def _names() -> set[str]:
    """Names of the commands."""
    return {
        str(entry.name or getattr(entry.callback, "__name__", ""))
        for entry in app.registered_commands
    }


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A cluster's polite end of a job is handled as Ctrl-C.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
