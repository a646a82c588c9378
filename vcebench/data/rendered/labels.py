"""The attributes of a whole split; those of a rendered one are kept between evaluations."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vcebench.data.base import HasAttributes
from vcebench.data.index import cached_index
from vcebench.data.rendered.dataset import RenderedSet


def all_attributes(images: HasAttributes) -> NDArray[np.bool_]:
    """Attributes of all examples of a split, bool (n, A), columns as its `attribute_names`.

    Those of a set that this package draws are taken from the user's cache (see `cached_index`) for
    as long as its code stays the same file by file.
    """
    names = images.attribute_names

    def build() -> pd.DataFrame:
        return pd.DataFrame(images.attributes(range(len(images))), columns=list(names))

    if not isinstance(images, RenderedSet):
        return images.attributes(range(len(images)))
    name = f"{images.name}-{images.task.name}-{images.split}-{images.seed}-numpy-{np.__version__}"
    table = cached_index(name, sorted(_sources(type(images))), build)
    if tuple(table.columns) != tuple(names) or len(table) != len(images):
        table = build()
    return table.to_numpy(dtype=np.bool_)


def _sources(kind: type) -> Iterator[Path]:
    """The files that the causes of a rendered set come from: its own package's, and this one's."""
    for package in (kind.__module__.rpartition(".")[0], __package__):
        found = find_spec(str(package))
        for place in () if found is None else found.submodule_search_locations or ():
            yield from Path(place).glob("*.py")
