"""Structural equations of binary variables: sampling, interventions, propagation.

Every variable is `u < p(parents)`, u its own uniform noise in its own column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Value: TypeAlias = bool | int | NDArray[np.integer] | Bools
Values = Mapping[str, Value]
State = dict[str, Bools]
"""Variable → its values, each with shape (B,)."""
Equations = Mapping[str, tuple[tuple[str, ...], Callable[[State], Floats]]]
"""Variable → (parents, probability of 1 given the parents), causes before their effects."""


def choose(condition: Bools, if_true: float, if_false: float) -> Floats:
    """One probability where the condition holds, another where not."""
    return np.where(condition, if_true, if_false)


def constant(probability: float) -> Callable[[State], Floats]:
    """The equation of a variable without parents."""
    return lambda state: np.array(probability)


def sample(equations: Equations, exogenous: Floats, columns: Mapping[str, int]) -> State:
    """All variables from their noise (B, …), of which `columns` says which belongs to whom."""
    state: State = {}
    for name, (_, probability) in equations.items():
        state[name] = exogenous[:, columns[name]] < probability(state)
    return state


def propagate(
    state: State,
    equations: Equations,
    exogenous: Floats,
    columns: Mapping[str, int],
    changed: Iterable[str],
    fixed: frozenset[str],
) -> frozenset[str]:
    """Re-evaluate, in place, the descendants of `changed` with the same noise; `fixed` ones stay.

    Returns `changed` and what was evaluated again.
    """
    moved = set(changed)
    for name, (parents, probability) in equations.items():
        if name not in fixed and moved.intersection(parents):
            state[name] = exogenous[:, columns[name]] < probability(state)
            moved.add(name)
    return frozenset(moved)


def descendants(equations: Equations, name: str) -> frozenset[str]:
    """Variables that an intervention on `name` can change when it propagates."""
    found: set[str] = set()
    for child, (parents, _) in equations.items():
        if found.union({name}).intersection(parents):
            found.add(child)
    return frozenset(found)


def to_state(array: Bools, names: Sequence[str]) -> State:
    """Columns of an array (B, len(names)) by name."""
    return {name: array[:, column] for column, name in enumerate(names)}


def to_array(state: State, names: Sequence[str]) -> Bools:
    """The inverse of `to_state`."""
    return np.stack([state[name] for name in names], axis=1)


def as_bools(kind: str, name: str, value: Value, count: int, names: Sequence[str]) -> Bools:
    """A value, or one per picture, as a bool array with shape (count,).

    Raises KeyError for a name that is none of `names`, ValueError for values other than 0 and 1.
    """
    if name not in names:
        raise KeyError(f"no {kind} {name!r}; known are {', '.join(names)}")
    array = np.asarray(value)
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} is set to 0 or 1, not to {value!r}")
    return np.broadcast_to(array.astype(np.bool_), (count,)).copy()
