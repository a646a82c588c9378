"""Attributes of training images: how they go together is what CD compares with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vcebench.data.base import HasAttributes
from vcebench.data.registry import open_dataset
from vcebench.data.rendered.labels import all_attributes
from vcebench.devices.flags import precision_flags
from vcebench.errors import UserError, one_line
from vcebench.folders.images import dequantise
from vcebench.metrics import attributes
from vcebench.models.bundle import Bundle
from vcebench.settings.config import RunConfig

_CHUNK = 64


@dataclass(frozen=True, eq=False)
class TrainingLabels:
    """Attributes of the training images of a task.

    names: of the A attributes.
    query: the one that the task decides; None if it decides none.
    look: gives the labels, bool (n, A).
    note: what a reader should know beside CD.
    """

    names: tuple[str, ...]
    query: str | None
    look: Callable[[], npt.NDArray[np.bool_]]
    note: str | None = None

    def correlation(self) -> npt.NDArray[np.float64]:
        """Correlation of every attribute with the queried one, (A,).

        Raises UserError: no attribute is queried, an image cannot be read, or there are too few.
        """
        if self.query is None or self.query not in self.names:
            what = "what the task asks for" if self.query is None else self.query
            raise UserError(f"{what} is not among the attributes")
        try:
            labels = self.look().astype(np.int64)
            return attributes.label_correlation(labels, self.names.index(self.query))
        except (ValueError, OSError) as error:
            raise UserError(one_line(error)) from error


def training_labels(
    config: RunConfig, bundle: Bundle, data_root: Path | None = None
) -> TrainingLabels:
    """The training labels of a run's task.

    A data set has them. In a task of somebody's own nobody gave any: the oracle says what it sees
    in the folder that the file names, every time anew, since code has no digest that tells all.

    Raises UserError: there are none; the sentence says why.
    """
    if config.custom is not None:
        if bundle.reference is None:
            lacking = [bundle.missing.get(r) for r in ("oracle", "attributes", "reference")]
            raise UserError(next(filter(None, lacking), "the oracle decides no attributes"))
        count = len(bundle.reference.images)
        return TrainingLabels(
            bundle.attributes,
            bundle.reference.query,
            lambda: _seen(bundle),
            f"CD compares with what the oracle sees in {count:,} training images, which nobody "
            "labelled",
        )
    try:
        training = open_dataset(config.dataset, config.task, "train", data_root)
    except (ValueError, UserError, OSError) as error:
        raise UserError(
            f"needs the attribute labels of the training split: {one_line(error)}"
        ) from error
    if not isinstance(training, HasAttributes):
        raise UserError(f"{config.dataset} has no attribute labels, hence no CD")
    query = training.task.attribute
    return TrainingLabels(training.attribute_names, query, lambda: all_attributes(training))


@torch.no_grad()
def _seen(bundle: Bundle) -> npt.NDArray[np.bool_]:
    """What the oracle sees in the reference's images, bool (n, A)."""
    oracle, reference = bundle.oracle, bundle.reference
    assert oracle is not None
    assert reference is not None
    found = []
    with precision_flags("exact"):
        for start in range(0, len(reference.images), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(reference.images)))
            x = dequantise(torch.stack([reference.images[i].image for i in chunk]))
            found.append(oracle(x.to(bundle.device)).sigmoid() > attributes.THRESHOLD)
    return torch.cat(found).cpu().numpy()
