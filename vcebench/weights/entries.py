"""Which of the state dicts in a checkpoint is meant, and what its keys are called without wrapping.

Trainers store raw and averaged weights side by side, and put the name of the module that held the
network before every key. What is taken is said; where several fit, a person can say which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vcebench.weights.shipped import NetworkFileError

Shapes = Mapping[str, tuple[int, ...]]

_FIRST = ("state_dict", "model_state_dict", "model")
"""Entries that are taken before others, if several fit."""


@dataclass(frozen=True)
class Chosen:
    """A state dict, and what a person should know about where it comes from."""

    state: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def choose(content: Any, path: Path, wanted: Shapes, entry: str | None = None) -> Chosen:
    """The state dict of a checkpoint that a network is filled with.

    Args:
        content: of the file.
        path: of the file, for messages.
        wanted: keys and shapes of the network.
        entry: name of the part to take, if a person gave one.

    Raises NetworkFileError: no state dict, or none of that name.
    """
    if not isinstance(content, Mapping):
        raise NetworkFileError(f"{path} holds a {type(content).__name__}, not a state dict")
    parts = dict(_parts(content, wanted))
    names = sorted(parts, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    if not names:
        strange = next((k for k, v in content.items() if not isinstance(v, Tensor)), "")
        raise NetworkFileError(f"{path} holds no state dict{_what(content, strange)}")
    if entry is not None and entry not in parts:
        known = ", ".join(name or "nothing but one state dict" for name in names)
        raise NetworkFileError(f"{path} has no entry {entry!r}; it has {known}")
    bare = {name: _bare(parts[name], wanted) for name in names}
    fitting = [name for name in names if _fits(bare[name][0], wanted)]
    taken = entry if entry is not None else next(iter([*fitting, *names]))
    state, prefix = bare[taken]
    notes = []
    others = [name for name in fitting if name != taken]
    if others and entry is None:
        both = " and ".join(repr(name) for name in [taken, *others])
        notes.append(f'{path.name} holds {both}: {taken!r} is taken; entry = "…" says another')
    elif len(names) > 1 or entry is not None:
        notes.append(f"{path.name}: entry {taken!r} is taken")
    if prefix:
        notes.append(f"{path.name}: all keys begin with {prefix!r}, which is taken off")
    return Chosen(state, tuple(notes))


def _parts(content: Mapping[str, Any], wanted: Shapes) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The state dicts in a checkpoint by name; its own has none."""
    if own := _tensors(content):
        roots = sorted({key.partition(".")[0] for key in own})
        groups = {root: _under(own, root) for root in roots} if len(roots) > 1 else {}
        whole = {root: g for root, g in groups.items() if _fits(_bare(g, wanted)[0], wanted)}
        yield from whole.items() if whole and not _fits(own, wanted) else [("", own)]
    for name, value in content.items():
        if not isinstance(value, Mapping):
            continue
        if found := _tensors(value):
            yield str(name), found
        else:
            for inner, deeper in value.items():
                if isinstance(deeper, Mapping) and (found := _tensors(deeper)):
                    yield f"{name}.{inner}", found


def _tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The state itself if it is one: keys are words, all values tensors; else nothing."""
    plain = all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    return dict(state) if plain else {}


def _under(state: Mapping[str, Tensor], root: str) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if k.partition(".")[0] == root}


def _bare(state: dict[str, Tensor], wanted: Shapes) -> tuple[dict[str, Tensor], str]:
    """The state without what all its keys begin with, as far as the network does not want it."""
    prefix = ""
    while state and not any(key in wanted for key in state):
        roots = {key.partition(".")[0] for key in state}
        if len(roots) > 1 or not all("." in key for key in state):
            break
        root = f"{roots.pop()}."
        state = {key.removeprefix(root): value for key, value in state.items()}
        prefix += root
    return state, prefix


def _fits(state: Mapping[str, Tensor], wanted: Shapes) -> bool:
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    there = all(key in state or key in counters for key in wanted)
    return there and all(tuple(state[k].shape) == wanted[k] for k in wanted if k in state)


def _what(content: Mapping[str, Any], strange: str) -> str:
    return f": {strange!r} is a {type(content[strange]).__name__}" if strange else ""
