"""Pictures and values of every image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from vcebench.folders.rows import NOT_KNOWN, Row
from vcebench.metrics.registry import METRICS
from vcebench.showing.pictures import region_picture
from vcebench.showing.report.pictures import Film, difference, film_of, mask_picture, png
from vcebench.showing.report.runs import Item, RunView, class_name, class_names

# Orders of the gallery beside the metrics: id → (title, whether higher is better).
_OF_ROWS = {
    "target_probability": ("p(target)", True),
    "margin": ("margin", True),
    "nfe": ("NFE", False),
    "seconds": ("seconds", False),
}


@dataclass(frozen=True)
class Order:
    """A value of every image and run, and which end of it is bad."""

    id: str
    title: str
    higher_is_better: bool


ORDERS = (
    *(Order(id, title, higher) for id, (title, higher) in _OF_ROWS.items()),
    # A flip is a filter of its own, and said by the margin.
    *(
        Order(id, info.title, info.better == "higher")
        for id, info in METRICS.items()
        if info.interval == "images" and id not in ("fr", "fr_top1", *_OF_ROWS)
    ),
)


@dataclass(frozen=True, eq=False)
class Result:
    """What one run made of one image, as a page shows it.

    Attributes:
        pictures: kind ("counterfactual", "difference", "region", "mask") → file name in the item's
            folder.
        values: id of an order → value, None where it is not defined.
        film: the steps, if they were stored; strips are files too.
    """

    run: RunView
    row: Row
    values: Mapping[str, float | None]
    pictures: Mapping[str, str]
    film: Film | None = None


@dataclass(frozen=True, eq=False)
class Shown:
    """One image with everything its page needs; `truth` is a file name if the truth is known."""

    item: Item
    source: str
    target: str
    label: str
    prediction: str
    input: str
    size: tuple[int, int]
    truth: str | None
    results: tuple[Result, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)


def shown(item: Item) -> Shown:
    """An image, its pictures made. Raises `UserError` if a stored file cannot be read."""
    names = class_names(item.subject)
    row = item.row
    files: dict[str, bytes] = {}
    first = item.results[0][0].folder
    image = first.image("inputs", row)
    input_name = f"input{first.codec().suffix}"
    files[input_name] = first.content("inputs", row)
    truth = _truth(item)
    if truth is not None:
        files["truth.png"] = png(truth)
    results = tuple(_result(run, row, files) for run, row in item.results)
    return Shown(
        item=item,
        source=class_name(names, row.source),
        target=class_name(names, row.target),
        label=class_name(names, row.label),
        prediction=NOT_KNOWN if row.prediction is None else class_name(names, row.prediction),
        input=input_name,
        size=(image.shape[2], image.shape[1]),
        truth=None if truth is None else "truth.png",
        results=results,
        files=files,
    )


def _truth(item: Item) -> Tensor | None:
    for run, row in item.results:
        if run.folder.has("truths", row):
            return run.folder.image("truths", row)
    return None


def _result(run: RunView, row: Row, files: dict[str, bytes]) -> Result:
    """One run's pictures, added to the files, and its values."""
    values: dict[str, float | None] = {
        "target_probability": row.target_probability,
        "margin": row.margin,
        "nfe": None if row.nfe is None else float(row.nfe),
        "seconds": row.seconds,
    }
    known = run.values.get(row.id, {})
    values |= {order.id: known.get(order.id) for order in ORDERS if order.id not in values}
    if not row.finite:
        return Result(run, row, {**values, "target_probability": None, "margin": None}, {})
    before, after = (run.folder.image(kind, row) for kind in ("inputs", "counterfactuals"))
    suffix = run.folder.codec().suffix
    pictures = {
        "counterfactual": f"{run.number}-counterfactual{suffix}",
        "difference": f"{run.number}-difference.png",
    }
    files[pictures["counterfactual"]] = run.folder.content("counterfactuals", row)
    files[pictures["difference"]] = png(difference(before, after))
    region = run.folder.region(row)
    if region is not None:
        pictures["region"] = f"{run.number}-region.png"
        files[pictures["region"]] = png(region_picture(before, region))
    masks = run.folder.masks(row)
    if masks is not None:
        pictures["mask"] = f"{run.number}-mask.png"
        files[pictures["mask"]] = png(mask_picture(before, *masks))
    film = None
    if run.folder.has("trace", row):
        film = film_of(run.folder.trace(row), before)
        files |= {f"{run.number}-steps-{name}.png": strip for name, strip in film.strips.items()}
    return Result(run, row, values, pictures, film)
