"""vcebench list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from vcebench.commands.options import Form, Format, installed, say
from vcebench.formats import readable


class What(StrEnum):
    """What can be listed."""

    methods = "methods"
    datasets = "datasets"
    metrics = "metrics"
    presets = "presets"


def list_(
    what: Annotated[What, typer.Argument(help="what to list")], form: Format = Form.github
) -> None:
    """List methods, data sets, metrics or presets.

    Examples:

      vcebench list methods

      vcebench list methods --format json
    """
    from vcebench.formats import Table, check_format

    complete = list(_LISTS[what]())
    form_ = check_format(form.value)
    # A table for people leaves out what does not fit on a line.
    short = [{k: _words(v) for k, v in row.items() if k not in _LONG[what]} for row in complete]
    typer.echo(Table(complete if form is Form.json or form is Form.csv else short).render(form_))


def _methods() -> Iterable[dict[str, Any]]:
    from vcebench.errors import UserError
    from vcebench.methods.registry import METHODS
    from vcebench.settings.foreigncode import METHODS_GROUP, offered
    from vcebench.settings.plugins import find_method

    found = dict.fromkeys(METHODS, "vcebench")
    for plugin in offered(METHODS_GROUP):
        try:
            find_method(plugin.id)
        except UserError as error:  # a broken plug-in does not stop the others
            say(str(error))
        else:
            found[plugin.id] = plugin.where
    for name, entry in METHODS.items():
        yield {
            "id": name,
            "summary": entry.summary,
            "nfe": entry.nfe,
            "reference": entry.reference,
            "parameters": entry.parameters(),
            "fixed": dict(entry.fixed),
            "from": found[name],
        }


def _datasets() -> Iterable[dict[str, Any]]:
    from vcebench.data.registry import DATASETS
    from vcebench.settings.installed import where

    installed()
    for name, entry in DATASETS.items():
        yield {
            "id": name,
            "summary": entry.summary,
            "tasks": [task.name for task in entry.tasks],
            "size": "x".join(str(side) for side in entry.size),
            "splits": list(entry.splits),
            "embedded": entry.embedded,
            "reference": entry.reference,
            "from": where(name),
        }


def _metrics() -> Iterable[dict[str, Any]]:
    from vcebench.metrics.registry import METRICS
    from vcebench.settings.installed import where

    installed()
    for name, info in METRICS.items():
        yield {
            "id": name,
            "title": info.title,
            "better": info.better,
            "unit": info.unit,
            "population": info.population,
            "backbone": info.backbone,
            "summary": info.summary,
            "reference": info.reference.paper,
            "definition": info.reference.equation,
            "from": where(name),
        }


def _presets() -> Iterable[dict[str, Any]]:
    from vcebench.settings.presets import rows

    return rows()


def _words(value: object) -> object:
    """A cell for people: settings as they are written behind --set."""
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{name}={readable(one)}" for name, one in value.items()) or None


_LISTS: dict[What, Callable[[], Iterable[dict[str, Any]]]] = {
    What.methods: _methods,
    What.datasets: _datasets,
    What.metrics: _metrics,
    What.presets: _presets,
}
_LONG: dict[What, tuple[str, ...]] = {
    What.methods: ("reference", "parameters", "fixed"),
    What.datasets: ("reference",),
    What.metrics: ("title", "reference", "definition"),
    What.presets: (
        *("limit", "steps", "respacing", "class_factor"),
        *("lambda_class", "lambda_perceptual", "lambda_l1"),
    ),
}
