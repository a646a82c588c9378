"""Reading a pickle of numpy arrays without executing anything it names.

The VGGFace2 weights are a Python 2 pickle, {name: numpy array}. Unpickling calls whatever the file
asks for; here only the few constructors of numpy arrays exist, anything else is refused by name.
"""

from __future__ import annotations

import codecs
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vcebench.weights.shipped import NetworkFileError

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")

_RECONSTRUCT = np.zeros(1).__reduce__()[0]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """What pickles of bytes call `_codecs.encode` for; no other encoding is ever needed."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return codecs.latin_1_encode(text)[0]


_ALLOWED: dict[tuple[str, str], Any] = {
    **{(module, "_reconstruct"): _RECONSTRUCT for module in _MULTIARRAY},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not an array")
        return _ALLOWED[module, name]


def read_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of a pickle {name: numpy array}, as tensors.

    Raises:
        NetworkFileError: damaged, of another form, or it names anything but arrays; nothing it
            names was executed.
    """
    with path.open("rb") as file:
        try:
            content = ArrayUnpickler(file, encoding="latin1").load()
        except Exception as error:  # damaged pickles raise almost anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise NetworkFileError(f"{path} was refused: {reason}") from error
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, np.ndarray) and v.dtype.kind in "fiu"
        for k, v in content.items()
    ):
        raise NetworkFileError(f"{path} is not a dictionary of numeric arrays by name")
    return {k: torch.from_numpy(np.array(v)) for k, v in content.items()}
