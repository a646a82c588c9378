"""Table 6: data sets and models, published and embedded."""

from __future__ import annotations

import html
from dataclasses import dataclass

from tabulate import tabulate

from vcebench.data.registry import DATASETS, dataset_entry, open_dataset
from vcebench.errors import UserError
from vcebench.formats import Table, readable
from vcebench.models.loading import load_bundle
from vcebench.results import published
from vcebench.results.tables.layouts import STAND_INS
from vcebench.results.tables.render import Format

TITLE = "Data sets and models"


@dataclass(frozen=True)
class DataTable:
    """Rows for printing, and notes."""

    table: Table
    notes: tuple[str, ...]


def data_table(dataset: str | None = None) -> DataTable:
    """The table of data sets: all published ones, or one data set's row.

    Raises:
        UserError: no such data set.
    """
    rows = [_published(entry) for entry in published.datasets()]
    notes = ["Published rows are as printed in the paper's supplement."]
    if dataset is None:
        rows += [_embedded(name) for name in STAND_INS if name in DATASETS]
        notes.append("Embedded data sets ship with the package and are no reproduction of others.")
        return DataTable(Table(rows), (*notes, *_lacking(rows)))
    own = [row for row in rows if row["id"] == dataset]
    if own:
        return DataTable(Table(own), tuple(notes))
    if dataset not in STAND_INS:
        known = ", ".join([*(str(row["id"]) for row in rows), *STAND_INS])
        raise UserError(f"table 6 does not know {dataset!r}; it has {known}")
    stands = ", ".join(dict.fromkeys(group.dataset for group in STAND_INS[dataset]))
    note = (
        f"An embedded data set under its own name; it takes the place of {stands} in the layouts."
    )
    row = _embedded(dataset)
    return DataTable(Table([row]), (note, *_lacking([row])))


def _lacking(rows: list[dict[str, object]]) -> list[str]:
    return [f"–: the networks of {row['id']} are not there." for row in rows if row["prior"] == "–"]


def _published(entry: published.PublishedDataset) -> dict[str, object]:
    return {
        "id": entry.dataset,
        "data set": entry.dataset_printed,
        "domain": entry.domain,
        "resolution": entry.resolution,
        "images": entry.n_images,
        "split": entry.split or "–",
        "tasks": entry.attributes_or_classes,
        "prior": entry.ddpm_weights,
        "classifier": f"{entry.classifier} ({entry.classifier_weights})",
    }


def _embedded(name: str) -> dict[str, object]:
    entry = dataset_entry(name)
    row: dict[str, object] = {
        "id": name,
        "data set": f"{name} (embedded)",
        "domain": entry.summary,
        "resolution": f"{entry.size[1]}x{entry.size[0]}",
        "images": len(open_dataset(name, split="test")),
        "split": "test",
        "tasks": ", ".join(task.name for task in entry.tasks),
    }
    try:
        backbones = load_bundle(name).backbones
        return row | {"prior": backbones["prior"], "classifier": backbones["classifier"]}
    except ValueError:  # the networks are not trained yet
        return row | {"prior": "–", "classifier": "–"}


def data_text(shown: DataTable, title: str, form: Format) -> str:
    """The table as text; for people with its title and notes."""
    columns = [name for name in shown.table.names() if name != "id"]
    if form in ("csv", "json", "latex"):
        names = columns if form == "latex" else shown.table.names()
        return Table(shown.table.rows, names).render(form)
    cells = [[readable(row.get(name)) for name in columns] for row in shown.table.rows]
    if form == "html":
        body = tabulate(cells, columns, tablefmt="html", disable_numparse=True)
        items = "".join(f"<li>{html.escape(note)}</li>" for note in shown.notes)
        return f"<h2>Table 6: {html.escape(title)}</h2>\n{body}\n<ul>{items}</ul>"
    body = tabulate(cells, columns, tablefmt="github", disable_numparse=True)
    notes = "\n".join(f"- {note}" for note in shown.notes)
    return f"**Table 6: {title}**\n\n{body}\n\n{notes}"
