"""One row per explained image: what was asked, what came out, what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Literal, get_args, get_type_hints

import pyarrow as pa  # type: ignore[import-untyped]

from vcebench.folders.inside import check_id

Status = Literal["ok", "non-finite", "already-target"]

NOT_KNOWN = "not known"
"""How readers print what a row has None for."""


@dataclass(frozen=True)
class Row:
    """The result for one image; probabilities and margins use the classifier's unscaled logits.

    A run of ours knows everything; what was imported, or made by a callable from outside, has None
    where nothing is known.

    Attributes:
        id, index: stable name, and position in the split.
        status: "non-finite" if the method returned NaN or infinity in its last try; nothing is
            stored as counterfactual then, and no metric counts the image. "already-target" if a
            class was asked for and the input is predicted as it: nothing was tried, nothing but
            the input is stored, and no metric counts it.
        label: true class.
        prediction: class predicted for the input, over all classes.
        source, target: class explained, and class asked for.
        correct: prediction equals label.
        flipped: the stored counterfactual is classified as the target (target against source).
        flipped_float: the same before quantisation.
        top1: the target wins among all classes on the stored counterfactual.
        lambda_class: λ_c of the last try; None if nothing was tried.
        tries: number of tries.
        nfe: evaluations of the prior, all tries together.
        seconds: share of the run's wall time, all tries together.
        margin_input, margin: logit of the target against the source, before and after.
        target_probability_input, target_probability: probability of the target, likewise.
        batch_size: rows of the smallest batch it was made in, if memory allowed fewer than the
            run asked for; None if none was smaller. Bits are promised for equal batch sizes.
        backward: vector-Jacobian products through the prior, all tries together.
        input_sha256: digest of the input's uint8 pixels, its shape and its label.
        files_sha256: kind of file ("inputs", "counterfactuals", …) → digest of the stored file.

        prediction_foreign, flipped_foreign: what the program that made an imported image said of
            it, judging what it had in memory; the others are judged on the stored files.

    The columns from `backward` on are None in runs made before there were such columns.
    """

    id: str
    index: int
    status: str
    label: int
    prediction: int | None
    source: int
    target: int
    correct: bool | None
    flipped: bool | None
    flipped_float: bool | None
    top1: bool | None
    lambda_class: float | None
    tries: int | None
    nfe: int | None
    seconds: float | None
    margin_input: float | None
    margin: float | None
    target_probability_input: float | None
    target_probability: float | None
    batch_size: int | None = None
    backward: int | None = None
    input_sha256: str | None = None
    files_sha256: dict[str, str] | None = None
    prediction_foreign: int | None = None
    flipped_foreign: bool | None = None

    @property
    def finite(self) -> bool:
        """Whether there is a counterfactual."""
        return self.status == "ok"

    @property
    def already_target(self) -> bool:
        """Whether there was nothing to explain."""
        return self.status == "already-target"


def nfe_per_try(rows: Iterable[Row]) -> float | None:
    """Mean evaluations of the prior per image and try; None where nobody counted any."""
    found = [row.nfe / row.tries for row in rows if row.tries and row.nfe is not None]
    return math.fsum(found) / len(found) if found else None


def backward_per_image(rows: Iterable[Row]) -> float | None:
    """Mean backward passes through the prior per image; None where nobody counted any."""
    found = [row.backward for row in rows if row.backward is not None]
    return math.fsum(found) / len(found) if found else None


_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    int | None: pa.int64(),
    float | None: pa.float64(),
    bool | None: pa.bool_(),
    str | None: pa.string(),
    dict[str, str] | None: pa.map_(pa.string(), pa.string()),
}
_HINTS = get_type_hints(Row)
SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in _HINTS.items()])


def to_table(rows: Iterable[Row], metadata: Mapping[bytes, bytes] | None = None) -> pa.Table:
    """Rows as an Arrow table; the metadata say which run they belong to (`digests.belonging`)."""
    schema = SCHEMA.with_metadata(metadata)
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=schema)


def from_table(table: pa.Table) -> list[Row]:
    """The rows of an Arrow table; texts may be dictionaries.

    Raises ValueError if a column without a default is missing, a column is of another type, an id
    cannot be a file's name, or a value is not one that a run stores.
    """
    there = set(table.column_names)
    missing = {field.name for field in fields(Row) if field.default is MISSING} - there
    if missing:
        raise ValueError(f"columns {', '.join(sorted(missing))} are missing")
    names = [field.name for field in fields(Row) if field.name in there]
    for name in names:
        _check_column(name, table[name])
    records = table.select(names).to_pylist(maps_as_pydicts="strict")
    rows = [Row(**values) for values in records]
    for row in rows:
        check_id(row.id)
        if row.status not in get_args(Status) or row.index < 0:
            raise ValueError(f"row {row.id!r} has status {row.status!r} and index {row.index}")
    return rows


def _check_column(name: str, column: pa.ChunkedArray) -> None:
    kind = _plain(column.type)
    if kind != SCHEMA.field(name).type and not pa.types.is_null(kind):
        raise ValueError(f"column {name} holds {column.type}, not {SCHEMA.field(name).type}")
    if column.null_count and type(None) not in get_args(_HINTS[name]):
        raise ValueError(f"column {name} lacks values")


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of a column whose texts are not kept as a dictionary."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    return kind
