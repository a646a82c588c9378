"""Metrics and data sets of installed packages, made known to this process.

Methods are loaded one by one when they are asked for (`settings.plugins`). What a metric or a data
set is called has to be known before anything is read, so these are loaded all together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vcebench.data.registry import DATASETS, DatasetEntry, register_dataset
from vcebench.errors import UserError, one_line
from vcebench.metrics.outside import OutsideMetric
from vcebench.metrics.registry import MetricError, register
from vcebench.settings.foreigncode import (
    DATASETS_GROUP,
    METRICS_GROUP,
    from_entry_point,
    named,
    offered,
)
from vcebench.settings.origin import Plugin

_METRICS: dict[str, Plugin] = {}
_DATASETS: dict[str, Plugin] = {}
_WHERE: dict[str, str] = {}


def load_installed() -> list[str]:
    """Make the metrics and data sets of installed packages known; returns what failed.

    A plug-in that cannot be loaded is one sentence, and stops no other.
    """
    complaints = []
    for group, add in ((METRICS_GROUP, add_metric), (DATASETS_GROUP, add_dataset)):
        for plugin in offered(group):
            try:
                _WHERE[add(*from_entry_point(plugin.point))] = plugin.where
            except UserError as error:
                complaints.append(one_line(error))
    return complaints


def find_metric(place: str) -> str:
    """The id of a metric named as "package.module:Name" or "./file.py:Name", made known.

    Raises `UserError` if it cannot be loaded, or is none.
    """
    module, colon, symbol = place.rpartition(":")
    if not colon:
        raise UserError(f"{place} names no metric; write package.module:Name or ./file.py:Name")
    return add_metric(*named(module, symbol))


def add_metric(thing: Any, plugin: Plugin) -> str:
    """Make a metric known; returns its id. Raises `UserError` if it is none."""
    if not isinstance(thing, OutsideMetric):
        raise UserError(f"{plugin.where} is a {type(thing).__name__}; give an OutsideMetric")
    try:
        register(thing)
    except MetricError as error:
        raise UserError(f"{plugin.where}: {error}") from error
    _METRICS[thing.info.id] = plugin
    return thing.info.id


def add_dataset(thing: Any, plugin: Plugin) -> str:
    """Make a data set known; returns its name. Raises `UserError` if it is none, or is taken."""
    if not isinstance(thing, DatasetEntry):
        raise UserError(f"{plugin.where} is a {type(thing).__name__}; give a DatasetEntry")
    if thing.networks is None:
        raise UserError(f"{plugin.where} brings no networks; give a function of its task")
    if thing.name in DATASETS and thing.name not in _DATASETS:
        raise UserError(f"{plugin.where}: {thing.name} is a data set already; use another name")
    try:
        register_dataset(replace(thing, embedded=False))
    except ValueError as error:
        raise UserError(f"{plugin.where}: {one_line(error)}") from error
    _DATASETS[thing.name] = plugin
    return thing.name


def metric_origins() -> dict[str, Plugin]:
    """Id of a metric from outside → where it comes from."""
    return dict(_METRICS)


def dataset_origin(name: str) -> Plugin | None:
    """Where a data set from outside comes from; None for those of this package."""
    return _DATASETS.get(name)


def where(id: str) -> str:
    """Where a metric or data set comes from, for people."""
    known = _METRICS.get(id) or _DATASETS.get(id)
    return _WHERE.get(id) or ("vcebench" if known is None else known.where)
