"""CelebA, aligned and cropped images, as its authors distribute it.

References: Deep Learning Face Attributes in the Wild (Liu et al., 2015); preprocessing of DiME
(Jeanneret et al., 2022): shorter side to 128, centre crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from vcebench.data.base import Task
from vcebench.data.celeba_attributes import ATTRIBUTES
from vcebench.data.files import Geometry, data_folder, first_present
from vcebench.data.index import cached_index
from vcebench.data.listed import ListedSet
from vcebench.errors import UserError

FETCH = (
    "get img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt (or the .csv "
    "variants) from mmlab.ie.cuhk.edu.hk/projects/CelebA.html and unpack them"
)
SPLITS = {"train": 0, "val": 1, "test": 2}
_NATIVE = (178, 218)


@dataclass(frozen=True, eq=False)
class AttributeSet(ListedSet):
    """A `ListedSet` whose images have CelebA's attributes: `table`, boolean (n, 40)."""

    table: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 40), dtype=bool))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the columns of `attributes`."""
        return ATTRIBUTES

    def attributes(self, indices: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Attributes of some images, boolean with shape (n, 40)."""
        chosen: npt.NDArray[np.bool_] = self.table[np.asarray(indices, dtype=np.int64)]
        return chosen


def celeba(task: Task, split: str, root: Path | None) -> AttributeSet:
    """One split of CelebA through one attribute.

    Raises UserError: a list or the image folder is missing (what to fetch is said), or a list is
    not what it should be.
    """
    base = data_folder("celeba", root, ("celeba", "CelebA"), FETCH)
    attributes = first_present(base, _places("list_attr_celeba", "Anno"), "the attributes", FETCH)
    partition = first_present(base, _places("list_eval_partition", "Eval"), "the splits", FETCH)
    # Some archives nest the folder in one of the same name.
    nested = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
    images = first_present(base, nested, "the folder of images", FETCH)

    def build() -> pd.DataFrame:
        table = read_attributes(attributes)
        table["partition"] = read_partition(partition, table.index)
        return table

    table = cached_index("celeba", (attributes, partition), build)
    table = table[table["partition"] == SPLITS[split]]
    return attribute_set("celeba", task, split, images, root or base, table, 128, _NATIVE)


def attribute_set(
    name: str,
    task: Task,
    split: str,
    images: Path,
    data_root: Path,
    table: pd.DataFrame,
    size: int,
    native: tuple[int, int] | None,
) -> AttributeSet:
    """The image set of the rows of an attribute table (index: file, columns: attributes)."""
    return AttributeSet(
        name=name,
        task=task,
        split=split,
        root=images,
        data_root=data_root,
        files=[str(file) for file in table.index],
        labels=[int(value) for value in table[str(task.attribute)]],
        geometry=Geometry(size, size),
        native=native,
        table=table[list(ATTRIBUTES)].to_numpy(dtype=bool),
    )


def read_attributes(path: Path) -> pd.DataFrame:
    """An attribute list: index file name, one boolean column per attribute.

    Reads the official text (number of rows, names, rows of 1 and -1) and the .csv variant (names
    with the file name first). Raises UserError if it is something else.
    """
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path, index_col=0)
        else:
            with path.open() as file:
                names = [file.readline() for _ in range(2)][1].split()
            table = pd.read_csv(path, sep=r"\s+", skiprows=2, header=None, index_col=0)
            if len(table.columns) != len(names):
                raise ValueError(f"{len(names)} names but {len(table.columns)} columns")
            table.columns = pd.Index(names)
    except (ValueError, OSError) as error:
        raise _wrong(path, " ".join(str(error).split())) from error
    lacking = [name for name in ATTRIBUTES if name not in table.columns]
    if lacking:
        raise _wrong(path, f"it lacks {len(lacking)} of CelebA's 40 attributes ({lacking[0]}, …)")
    table = table[list(ATTRIBUTES)]
    good = table.isin([-1, 0, 1]).all(axis=1)
    if not bool(good.all()):
        raise _wrong(path, f"the row of {table.index[~good][0]} holds other values than 1 and -1")
    if not table.index.is_unique:
        raise _wrong(path, "it names a file twice")
    flags = table > 0
    flags.index = flags.index.astype(str).rename("file")
    return flags


def read_partition(path: Path, files: pd.Index) -> npt.NDArray[np.int64]:
    """Split number (0 train, 1 val, 2 test) of each file, from the official text or its .csv."""
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path, index_col=0)
        else:
            table = pd.read_csv(path, sep=r"\s+", header=None, index_col=0)
        numbers = table.iloc[:, 0].reindex(files)
    except (ValueError, IndexError, OSError) as error:
        raise _wrong(path, " ".join(str(error).split())) from error
    known = numbers.isin(list(SPLITS.values()))
    if not bool(known.all()):
        raise _wrong(path, f"it says nothing usable about {files[~known.to_numpy()][0]}")
    return numbers.to_numpy(dtype=np.int64)


def _places(stem: str, folder: str) -> tuple[str, ...]:
    return tuple(f"{where}{stem}.{kind}" for kind in ("txt", "csv") for where in ("", f"{folder}/"))


def _wrong(path: Path, detail: str) -> UserError:
    return UserError(f"{path} is not the list it should be: {detail}; get the original")
