"""vcebench region."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import say


def region(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="image files, or folders of them")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="file to write")] = Path(
        "region.html"
    ),
) -> None:
    """Write a page on which you paint where your images may change; it works without a network.

    Open it in a browser, paint, download the masks, put them into one folder, and give that folder
    to `vcebench run --region FOLDER`. A mask has the name of its image; above 0 means: may change.

    Examples:

      vcebench region photos/anna.jpg photos/ben.jpg

      vcebench region runs/synthfaces-smile-maskdime-1f0e/inputs --output faces.html
    """
    from vcebench.folders.images import write_atomic
    from vcebench.folders.store import writing
    from vcebench.showing.painting.page import painting_page

    page = painting_page(images).encode()
    with writing(output):
        write_atomic(output, page)
    say(f"{len(page) / 1e6:.1f} MB; open it in a browser, nothing leaves your computer")
    typer.echo(str(output))
