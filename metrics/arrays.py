"""Arrays in: NumPy arrays, memory maps and torch tensors are read alike."""

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

ArrayInput = Any  # NumPy array, memory map, nested sequence, or torch tensor on any device
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class NotComputableError(ValueError):
    """The metric has no value for these inputs; the message is the reason a table shows."""


def as_array(values: ArrayInput) -> npt.NDArray[Any]:
    """NumPy view of `values`, without a copy for NumPy arrays, memory maps and CPU tensors."""
    if hasattr(values, "detach"):  # a torch tensor, recognised without importing torch
        values = values.detach().cpu()
        if str(values.dtype) == "torch.bfloat16":  # NumPy has no such type
            values = values.float()
    try:
        array = np.asarray(values)
    except (TypeError, RuntimeError) as error:  # lists of tensors on a device, and the like
        raise ValueError(f"these values are no array: {error}") from error
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def as_floats(values: ArrayInput, name: str, ndim: int) -> Floats:
    """float64 array of `ndim` axes.

    Raises ValueError on another shape, on NaN and infinity, and on what is no number.
    """
    array = as_numbers(values, name, ndim)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity")
    return array


def as_numbers(values: ArrayInput, name: str, ndim: int) -> Floats:
    """The same where NaN stands for an image without a value."""
    array = as_array(values)
    check_ndim(array, name, ndim)
    check_numbers(array, name)
    return array.astype(np.float64)


def as_classes(values: ArrayInput, name: str) -> Integers:
    """Class numbers (n,), counted from 0. Raises ValueError for anything else."""
    array = as_array(values)
    check_ndim(array, name, 1)
    if len(array) == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iub" or array.min() < 0:
        raise ValueError(f"{name} must hold class numbers, whole and from 0 on")
    return array.astype(np.int64)


def as_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least `least`. Raises ValueError for anything else."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; use a whole number from {least} on")
    return int(value)


def as_booleans(values: ArrayInput, name: str) -> Booleans:
    """Boolean vector (n,). Raises ValueError for anything but booleans or 0/1 integers."""
    array = as_array(values)
    check_ndim(array, name, 1)
    if len(array) and (array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all()):
        raise ValueError(f"{name} must hold booleans")
    return array.astype(np.bool_)


def as_rows(rows: ArrayInput, count: int, name: str = "rows") -> Integers:
    """Indices (k,) of some of `count` rows, from indices or from a mask (count,).

    Raises ValueError for a mask of another length, numbers that are not whole, and indices beyond
    0 … count-1.
    """
    array = as_array(rows)
    check_ndim(array, name, 1)
    if array.dtype == np.bool_:
        if len(array) != count:
            raise ValueError(f"{name} is a mask of {len(array)} for {count} rows")
        return np.flatnonzero(array)
    if len(array) == 0:
        return np.zeros(0, dtype=np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be indices or a mask, not {array.dtype}")
    if array.min() < 0 or array.max() >= count:
        raise ValueError(f"{name} reach from {array.min()} to {array.max()}; there are {count}")
    return array.astype(np.int64)


def check_ndim(array: npt.NDArray[Any], name: str, ndim: int) -> None:
    """Raise ValueError unless `array` has `ndim` axes."""
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, not shape {array.shape}")


def check_numbers(array: npt.NDArray[Any], name: str) -> None:
    """Raise ValueError unless `array` holds real numbers."""
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, not {array.dtype}")


def check_same_shape(a: npt.NDArray[Any], b: npt.NDArray[Any], names: str) -> None:
    """Raise ValueError unless both arrays have the same shape."""
    if a.shape != b.shape:
        raise ValueError(f"{names} differ in shape: {a.shape} and {b.shape}")


def unit_difference(a: ArrayInput, b: ArrayInput) -> Floats:
    """Absolute difference |a - b| of two image batches on the scale [0, 1].

    Args:
        a, b: images with shape (n, C, H, W); uint8, or floating point in [0, 1]. Give the stored
            uint8 images where a threshold follows: their differences are exact multiples of 1/255.

    Returns:
        float64 with shape (n, C, H, W), in [0, 1].

    Raises:
        ValueError: shapes or types differ, or a float image leaves [0, 1].
    """
    first, second = as_array(a), as_array(b)
    check_ndim(first, "images", 4)
    check_same_shape(first, second, "images and counterfactuals")
    if (first.dtype == np.uint8) != (second.dtype == np.uint8):
        raise ValueError("give both image batches as uint8, or both as floating point")
    if first.dtype == np.uint8:
        difference: Floats = np.abs(first.astype(np.int16) - second.astype(np.int16)) / 255.0
        return difference
    first, second = as_floats(first, "images", 4), as_floats(second, "counterfactuals", 4)
    for array in (first, second):
        if array.size and (array.min() < 0 or array.max() > 1):
            raise ValueError("floating-point images must lie in [0, 1]")
    return np.abs(first - second)
