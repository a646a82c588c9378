"""What is said of a run when it is done: its row, its metrics, and the files they are kept in."""

from __future__ import annotations

from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from vcebench.evaluating.evaluation import Evaluation
from vcebench.folders import inside
from vcebench.folders.rows import NOT_KNOWN
from vcebench.folders.runfolder import JUDGED, METRICS, PER_IMAGE, RunFolder
from vcebench.folders.store import writing
from vcebench.formats import Format, Table, dump, number
from vcebench.metrics.registry import metric
from vcebench.metrics.result import MetricValue
from vcebench.settings.installed import metric_origins
from vcebench.settings.request import told_region

HEADLINE = ("fr", "cout", "s3", "l1", "nfe")


def records(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The tidy metric table: one record per metric, missing ones with their reason."""
    return [_record(value, evaluation.protocol) for value in evaluation.values.values()]


def _record(value: MetricValue, protocol: str) -> dict[str, Any]:
    info = metric(value.id)
    low, high = value.interval or (None, None)
    return {
        "id": value.id,
        "value": value.value,
        "low": low,
        "high": high,
        "n": value.n,
        "unit": info.unit,
        "better": info.better,
        "population": value.population,
        "backbone": value.backbone,
        "reason": value.reason,
        "protocol": protocol,
    }


def headline(folder: RunFolder, evaluation: Evaluation) -> dict[str, Any]:
    """The row of a run: FR, COUT, S3, ℓ1, NFE and seconds per image, peak memory, n."""
    config = folder.config()
    values = evaluation.values
    row: dict[str, Any] = {
        "method": config.method,
        "data set": config.dataset,
        "task": config.task,
        "seed": config.seed,
    }
    if (region := told_region(config)) is not None:
        row["region"] = region
    if evaluation.judge is not None:
        row["judged by"] = evaluation.judge
    for id in HEADLINE:
        row[_title(id)] = _known(values[id])
    seconds = evaluation.seconds_per_image
    row["s/image"] = NOT_KNOWN if seconds is None else seconds
    row["peak MiB"] = _known(values["peak_memory"])
    row["n"] = evaluation.images
    if evaluation.already_target:
        row["already target"] = evaluation.already_target
    return row


def _known(value: MetricValue) -> float | str | None:
    """A metric's value; that it is not known where nobody can tell."""
    return NOT_KNOWN if value.reason == NOT_KNOWN else value.value


def metric_table(evaluation: Evaluation) -> Table:
    """All metrics for people: those that have a value, with interval, n and backbone."""
    rows = []
    for value in evaluation.values.values():
        if value.value is None:
            continue
        interval = "" if value.interval is None else " … ".join(map(number, value.interval))
        rows.append(
            {
                "metric": _title(value.id),
                "value": value.value,
                "95 % interval": interval,
                "better": "↑" if metric(value.id).better == "higher" else "↓",
                "n": value.n,
                "population": value.population,
                "backbone": value.backbone or "",
            }
        )
    return Table(rows)


def missing_lines(evaluation: Evaluation) -> list[str]:
    """What could not be computed, with the reason, one line per reason."""
    reasons: dict[str, list[str]] = {}
    for value in evaluation.values.values():
        if value.reason:
            reasons.setdefault(value.reason, []).append(metric(value.id).title)
    return [f"not computed: {', '.join(titles)} ({why})" for why, titles in reasons.items()]


def document(folder: RunFolder, evaluation: Evaluation) -> dict[str, Any]:
    """Everything about a run's metrics, for JSON."""
    manifest = folder.manifest()
    return {
        "run": str(folder.path),
        "protocol": evaluation.protocol,
        "config": manifest["config"],
        "config_hash": manifest["config_hash"],
        "networks": evaluation.networks,
        **_judge(evaluation),
        **_plugins(evaluation),
        "images": evaluation.images,
        "non_finite": evaluation.non_finite,
        "already_target": evaluation.already_target,
        "float_fr": evaluation.float_fr,
        "seconds_per_image": evaluation.seconds_per_image,
        "nfe_per_try": evaluation.nfe_per_try,
        "backward_per_image": evaluation.backward_per_image,
        "peak_memory_of": evaluation.memory_of,
        "metrics": records(evaluation),
        "notes": list(evaluation.notes),
    }


def save(folder: RunFolder, evaluation: Evaluation) -> None:
    """Write metrics.json, metrics.parquet and per-image.parquet into the run folder.

    Those of another judge than the explained classifier go to judged/NAME in it.
    """
    place = "" if evaluation.judge is None else f"{JUDGED}/{evaluation.judge}/"
    with writing(folder.path):
        text = dump(document(folder, evaluation)) + "\n"
        inside.write_lasting(folder.path, f"{place}{METRICS}", text.encode())
        tidy = pa.Table.from_pylist(records(evaluation), schema=_SCHEMA)
        tables = {"metrics.parquet": tidy, PER_IMAGE: _per_image(evaluation)}
        for name, table in tables.items():
            buffer = pa.BufferOutputStream()
            pq.write_table(table, buffer)
            inside.write_lasting(folder.path, f"{place}{name}", buffer.getvalue().to_pybytes())


def _per_image(evaluation: Evaluation) -> pa.Table:
    """One row an image, one column a metric; null where it is not defined."""
    columns = evaluation.per_image
    ids = list(dict.fromkeys(id for column in columns.values() for id in column))
    arrays = {
        metric: pa.array([column.get(id) for id in ids], pa.float64())
        for metric, column in columns.items()
    }
    return pa.table({"id": pa.array(ids, pa.string()), **arrays})


def render(runs: list[tuple[RunFolder, Evaluation]], form: Format) -> str:
    """What a command prints on stdout about one run, or about the seeds of one."""
    if form == "json":
        documents = [document(folder, evaluation) for folder, evaluation in runs]
        return dump(documents[0] if len(documents) == 1 else {"seeds": documents})
    if form == "csv":
        rows = [
            {"run": str(folder.path), "seed": folder.config().seed, **_judge(evaluation), **record}
            for folder, evaluation in runs
            for record in records(evaluation)
        ]
        return Table(rows).render(form)
    parts = [Table([headline(folder, evaluation) for folder, evaluation in runs]).render(form)]
    # The metrics of several seeds would be as many tables: the last one stands for σ_L and n.
    parts.append(metric_table(runs[-1][1]).render(form))
    return "\n\n".join(parts)


def _plugins(evaluation: Evaluation) -> dict[str, Any]:
    """Where the metrics from outside come from; nothing without any."""
    found = {id: o.model_dump() for id, o in metric_origins().items() if id in evaluation.values}
    return {"plugins": found} if found else {}


def _judge(evaluation: Evaluation) -> dict[str, str]:
    return {} if evaluation.judge is None else {"judge": evaluation.judge}


def remarks(evaluation: Evaluation) -> list[str]:
    """Lines for stderr: what is missing, what to keep in mind."""
    lines = missing_lines(evaluation)
    if evaluation.judge is not None:
        lines.insert(
            0, f"judged by {evaluation.judge}, not by the classifier that the images explain"
        )
    if evaluation.already_target:
        lines.append(
            f"{evaluation.already_target} of {evaluation.images + evaluation.already_target} "
            "images are of the target class before any edit; they stay as they are and are "
            "counted by no metric"
        )
    if evaluation.non_finite:
        lines.append(
            f"{evaluation.non_finite} of {evaluation.images} images came out with NaN or infinity "
            "and are counted by no metric"
        )
    if evaluation.memory_of:
        lines.append(f"peak memory: {evaluation.memory_of}")
    return lines + [f"note: {note}" for note in evaluation.notes]


def _title(id: str) -> str:
    info = metric(id)
    return f"{info.title} {info.unit}".rstrip()


_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("n", pa.int64()),
        *((name, pa.string()) for name in ("unit", "better", "population", "backbone")),
        ("reason", pa.string()),
        ("protocol", pa.string()),
    ]
)
