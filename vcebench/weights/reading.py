"""From a file to a state dict that fits a card exactly, or a sentence that says why not.

PyTorch files are read with weights_only=True: nothing in them is executed.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vcebench.weights.cards import Card
from vcebench.weights.pickles import read_arrays
from vcebench.weights.shipped import NetworkFileError

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_SHOWN = 3


def read_state(path: Path, card: Card) -> dict[str, Tensor]:
    """The tensors of a distributed or an imported file, keys and shapes as the card has them.

    Raises:
        NetworkFileError: missing, damaged, with executable content, of another network (missing
            and unexpected keys and other shapes are named), or with NaN or infinite values.
    """
    content = load_file_safely(path, card.numpy_pickle)
    state = unwrap(content, path, card.wrapper, card.groups)
    if card.average and path.suffix != ".safetensors":
        state = _averaged(content, state, path, card)
    return fit_state({k.removeprefix(card.prefix): v for k, v in state.items()}, card, path)


def load_file_safely(path: Path, numpy_pickle: bool = False) -> Any:
    """Content of a safetensors, PyTorch or (if told so) numpy pickle file; nothing is executed."""
    if not path.is_file():
        raise NetworkFileError(f"{path} is missing or no file")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise NetworkFileError(f"{path} cannot be read as safetensors: {error}") from error
    if numpy_pickle:
        return read_arrays(path)
    try:
        # Memory mapping needs PyTorch's zip format; older files are read whole.
        mapped = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise NetworkFileError(_refusal(path, str(error))) from error
    except Exception as error:  # damaged files raise almost anything
        text = " ".join(str(error).split())
        if "weights_only" in text:
            raise NetworkFileError(_refusal(path, text)) from error
        detail = text.partition(". ")[0][:200] or type(error).__name__
        raise NetworkFileError(f"{path} cannot be read as a PyTorch file: {detail}") from error


def _refusal(path: Path, complaint: str) -> str:
    """Why a file was refused, in words of ours: PyTorch's advise to execute what is in it."""
    named = re.search(r"GLOBAL\s+([\w.]+)", complaint)
    if "TorchScript" in complaint:
        why = "it is a TorchScript archive, which is code; name it as classifier.torchscript"
    elif ".tar format" in complaint:
        why = "it is in PyTorch's oldest format, which is executed; save it again as safetensors"
    elif named:
        why = f"it names {named[1]}, which is no tensor; ask for its state dict as safetensors"
    else:
        why = "it holds more than tensors; ask for its state dict as safetensors"
    return f"{path} was refused, nothing in it was executed: {why}"


def unwrap(
    content: Any, path: Path, wrapper: str | None = None, groups: Sequence[str] = ()
) -> dict[str, Tensor]:
    """The bare state dict: wrapper dictionaries and `module.` prefixes taken off."""
    if not isinstance(content, Mapping):
        raise NetworkFileError(f"{path} holds a {type(content).__name__}, not a state dict")
    if groups and all(isinstance(content.get(g), Mapping) for g in groups):
        parts = {g: _plain(content[g], path) for g in groups}
        return {f"{g}.{key}": value for g, part in parts.items() for key, value in part.items()}
    for name in (wrapper, *_WRAPPERS):
        if name is not None and isinstance(content.get(name), Mapping):
            return _plain(content[name], path)
    return _plain(content, path)


def _averaged(
    content: Mapping[str, Any], raw: Mapping[str, Tensor], path: Path, card: Card
) -> dict[str, Tensor]:
    """The moving average of a state dict, which lists its tensors in the order of their names."""
    names = [key for key in raw if not _matches(key, card.ignorable)]
    entry = content.get(card.average)
    values = entry.get("shadow_params") if isinstance(entry, Mapping) else None
    fits = isinstance(values, list) and [getattr(v, "shape", None) for v in values] == [
        raw[key].shape for key in names
    ]
    if not isinstance(values, list) or not fits:
        raise NetworkFileError(
            f"{path} holds no moving average of all {len(names)} tensors in its entry "
            f"{card.average!r}; import it as {card.id.removesuffix('-ema')}, which is not averaged"
        )
    return dict(zip(names, values, strict=True))


def _plain(state: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise NetworkFileError(
                f"{path}: entry {key!r} is a {type(value).__name__}, not a tensor; "
                "this is another file than expected"
            )
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def fit_state(state: Mapping[str, Tensor], card: Card, path: Path) -> dict[str, Tensor]:
    """The tensors the card asks for, after the strict comparison; see `read_state`."""
    wanted = card.shapes()
    missing = [k for k in wanted if k not in state and not _matches(k, card.optional)]
    unexpected = [k for k in state if k not in wanted and not _matches(k, card.ignorable)]
    complaints = [
        f"{len(keys)} {kind} keys ({', '.join(keys[:_SHOWN])}{', …' * (len(keys) > _SHOWN)})"
        for kind, keys in (("missing", missing), ("unexpected", unexpected))
        if keys
    ]
    if complaints:
        raise NetworkFileError(f"{path} is not {card.title}: {'; '.join(complaints)}")
    found = {key: state[key] for key in wanted if key in state}
    for key, value in found.items():
        shape = tuple(value.shape)
        if shape != wanted[key]:
            raise NetworkFileError(
                f"{path} is not {card.title}: {key} has shape {shape}, expected {wanted[key]}"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise NetworkFileError(f"{path}: {key} holds NaN or infinity; fetch the file again")
    return found


def _matches(key: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)
