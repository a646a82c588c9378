"""CelebA-HQ in the layout of CelebAMask-HQ.

References: Progressive Growing of GANs (Karras et al., 2018); MaskGAN (Lee et al., 2020). The split
is CelebA's own, carried over by the mapping file: 24,183 / 2,993 / 2,824 images, as in STEEX.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from vcebench.data.base import Task
from vcebench.data.celeba import SPLITS, AttributeSet, attribute_set, read_attributes
from vcebench.data.files import data_folder, first_present
from vcebench.data.index import cached_index
from vcebench.errors import UserError

FETCH = (
    "get CelebAMask-HQ.zip from github.com/switchablenorms/CelebAMask-HQ and unpack CelebA-HQ-img/,"
    " CelebA-HQ-to-CelebA-mapping.txt and CelebAMask-HQ-attribute-anno.txt"
)
_NATIVE = (1024, 1024)
# CelebA's splits are ranges of its file numbers.
_LAST_TRAIN, _LAST_VAL = 162_770, 182_637


def celebahq(task: Task, split: str, root: Path | None) -> AttributeSet:
    """One split of CelebA-HQ through one attribute; raises UserError as `celeba` does."""
    base = data_folder("celebahq", root, ("celebahq", "CelebAMask-HQ"), FETCH)
    base = base / "CelebAMask-HQ" if (base / "CelebAMask-HQ").is_dir() else base
    images = first_present(base, ("CelebA-HQ-img",), "the folder of images", FETCH)
    attributes = first_present(
        base, ("CelebAMask-HQ-attribute-anno.txt",), "the list of attributes", FETCH
    )
    mapping = first_present(base, ("CelebA-HQ-to-CelebA-mapping.txt",), "the mapping", FETCH)

    def build() -> pd.DataFrame:
        table = read_attributes(attributes)
        table["partition"] = _partition(mapping, table.index)
        return table

    table = cached_index("celebahq", (attributes, mapping), build)
    table = table[table["partition"] == SPLITS[split]]
    return attribute_set("celebahq", task, split, images, root or base, table, 256, _NATIVE)


def _partition(path: Path, files: pd.Index) -> npt.NDArray[np.int64]:
    """Split number of each file, by the number that its original has in CelebA."""
    try:
        table = pd.read_csv(path, sep=r"\s+", index_col="idx")
        originals = table["orig_file"].str.removesuffix(".jpg").astype(int)
        numbers = originals.reindex([int(Path(str(file)).stem) for file in files])
    except (ValueError, KeyError, AttributeError, OSError) as error:
        detail = " ".join(str(error).split())
        raise UserError(
            f"{path} is not the mapping file of CelebAMask-HQ ({detail}); get the original"
        ) from error
    if bool(numbers.isna().any()):
        raise UserError(f"{path} does not map every image of the attribute list; get the original")
    values = numbers.to_numpy(dtype=np.int64)
    return np.where(values <= _LAST_TRAIN, 0, np.where(values <= _LAST_VAL, 1, 2))
