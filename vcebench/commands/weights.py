"""vcebench weights, vcebench weights import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vcebench.commands.options import Form, Format, say

app = typer.Typer(help="Published networks: what there is, and importing them.")

Folder = Annotated[
    Path | None,
    typer.Option(
        "--weights", show_default="$VCEBENCH_WEIGHTS or ~/.cache/vcebench/weights", help="folder"
    ),
]


@app.callback(invoke_without_command=True)
def weights(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="only those of this data set")] = None,
    folder: Folder = None,
    form: Format = Form.github,
) -> None:
    """List the published networks by data set and role: file, source, checksum, present or not.

    Examples:

      vcebench weights --dataset celeba

      vcebench weights import ddpm-celeba.pt --as celeba-prior
    """
    if context.invoked_subcommand is not None:
        return
    from vcebench.errors import user_errors
    from vcebench.formats import Table
    from vcebench.jobs.checking import weight_rows
    from vcebench.weights.cards import roles_of
    from vcebench.weights.store import weights_root

    with user_errors():
        if dataset is not None:
            roles_of(dataset)
        root = weights_root(folder)
        rows = [row for row in weight_rows(root) if dataset in (None, row["dataset"])]
    say(f"weights folder: {root}")
    short = [{k: v for k, v in row.items() if k not in ("title", "tensors")} for row in rows]
    typer.echo(Table(rows if form in (Form.json, Form.csv) else short).render(form.value))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="a checkpoint as its authors distribute it")],
    role: Annotated[
        str, typer.Option("--as", metavar="ROLE", help="card, or DATASET/ROLE: `vcebench weights`")
    ],
    folder: Folder = None,
) -> None:
    """Verify a checkpoint, convert it to safetensors and record its checksums.

    Nothing in the file is executed. A file with other keys or shapes, NaN, or more than tensors is
    refused by name.

    Examples:

      vcebench weights import ddpm-celeba.pt --as celeba/prior

      vcebench weights import resnet50_ft_weight.pkl --as vggface2
    """
    from vcebench.errors import user_errors
    from vcebench.weights.cards import card_named
    from vcebench.weights.store import import_file, weights_root

    with user_errors():
        card = card_named(role)
        stored = import_file(file, card, weights_root(folder))
    say(f"{card.title}: verified")
    typer.echo(str(stored))
